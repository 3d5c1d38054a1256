/** Sealed entries and heads as the link's messages have them (keyhold.v1.SealedEntry, SealedHead, StateUpdate). */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { fromHex, toHex } from '../../proto/bytes.ts';
import type {
  SealedEntrySchema,
  SealedHeadSchema,
  StateUpdateSchema,
  SealedEntry as WireEntry,
  SealedHead as WireHead,
} from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { SealError, type SealedEntry, type SealedHead } from './seal.ts';
import type { SealedUpdate } from './sealed.ts';

/** Bytes of ciphertexts in one message, about. */
const sentAtOnce = 1 << 20;

function entryToWire({ key, version, ciphertext }: SealedEntry): MessageInitShape<typeof SealedEntrySchema> {
  return { name: fromHex(key), version, ...(ciphertext && { ciphertext }) };
}

/** @throws SealError where it is no entry */
export function entryFromWire({ name, version, ciphertext }: WireEntry): SealedEntry {
  if (name.length !== 32) throw new SealError('malformed', `expected a name of 32 bytes, got ${name.length}`);
  return { key: toHex(name), version, ciphertext };
}

export function headFromWire({ version, ciphertext }: WireHead): SealedHead {
  return { version, ciphertext };
}

/** An update in as many messages as it takes; only the last has the head. */
export function updateToWire(
  base: bigint,
  { entries, head }: SealedUpdate,
): readonly MessageInitShape<typeof StateUpdateSchema>[] {
  const parts: MessageInitShape<typeof SealedEntrySchema>[][] = [[]];
  let length = 0;
  for (const entry of entries) {
    if (length >= sentAtOnce) {
      parts.push([]);
      length = 0;
    }
    parts.at(-1)?.push(entryToWire(entry));
    length += (entry.ciphertext?.length ?? 0) + 64;
  }
  const { version, ciphertext } = head;
  const last: MessageInitShape<typeof SealedHeadSchema> = { version, ciphertext };
  return parts.map((part, i) => ({ base, entries: part, ...(i === parts.length - 1 && { head: last }) }));
}
