import { SignerLink } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { Channel, StatusError, type TlsIdentity } from '../../proto/grpc.ts';
import { entryFromWire, headFromWire } from '../store/copy_wire.ts';
import type { SealedEntry, SealedHead } from '../store/seal.ts';

/** A host's copy of a state, as it gave it: nothing in it is checked yet. */
export interface FetchedCopy {
  readonly head: SealedHead;
  /** When the host stored it, milliseconds since 1970: its word. */
  readonly storedMs: number;
  readonly entries: readonly SealedEntry[];
}

/** More entries than any state has. */
const mostEntries = 1 << 18;

/** Fetches the copy that a host keeps of this certificate's node; undefined where it has none. @throws StatusError, SealError */
export async function fetchCopy(
  address: string,
  identity: TlsIdentity,
  signal: AbortSignal,
): Promise<FetchedCopy | undefined> {
  await using channel = new Channel(address, identity);
  const entries: SealedEntry[] = [];
  let head: SealedHead | undefined;
  let storedMs = 0;
  try {
    for await (const response of channel.client(SignerLink).fetchState({}, { signal })) {
      if (response.state?.head !== undefined) {
        head = headFromWire(response.state.head);
        storedMs = Number(response.state.storedMs);
      }
      for (const entry of response.entries) entries.push(entryFromWire(entry));
      if (entries.length > mostEntries) throw new StatusError('RESOURCE_EXHAUSTED', 'the copy has too many entries');
    }
  } catch (error: unknown) {
    if (error instanceof StatusError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
  return head && { head, storedMs, entries };
}
