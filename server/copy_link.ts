/** The copy of the state on one signer's link: updates that come in parts, and what the signer asks about the copy. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { HeldStateSchema, StateUpdate } from '../proto/gen/keyhold/v1/signer_link_pb.ts';
import type { SendToSigner } from '../proto/link.ts';
import { errorText, type Log } from '../proto/log.ts';
import { copyLimits, type Entry, type StateCopy } from './state_copy.ts';

/** Entries of one listing message: each takes some 40 bytes. */
const listedAtOnce = 20_000;
/** Bytes of ciphertexts in one message of a whole copy, about. */
const sentAtOnce = 1 << 20;

/** What the welcome says of a copy. */
export function heldState({ head }: StateCopy): MessageInitShape<typeof HeldStateSchema> {
  if (head === undefined) return {};
  const { version, ciphertext, storedMs } = head;
  return { head: { version, ciphertext }, storedMs };
}

/** The copy in pieces that fit into messages. */
export function* wholeCopy(copy: StateCopy): Generator<readonly Required<Entry>[], void> {
  let piece: Required<Entry>[] = [];
  let length = 0;
  for (const entry of copy.entries()) {
    piece.push(entry);
    length += entry.ciphertext.length + 64;
    if (length < sentAtOnce) continue;
    yield piece;
    piece = [];
    length = 0;
  }
  if (piece.length > 0) yield piece;
}

export class CopyLink {
  readonly #copy: StateCopy;
  readonly #send: SendToSigner;
  readonly #log: Log;
  /** What came of an update whose last part has not. */
  #parts: Entry[] = [];
  #length = 0;

  constructor(copy: StateCopy, send: SendToSigner, log: Log) {
    this.#copy = copy;
    this.#send = send;
    this.#log = log;
  }

  /** Takes a part of an update; answers the last. */
  receive({ base, entries, head }: StateUpdate): void {
    for (const { name, version, ciphertext } of entries) {
      this.#length += (ciphertext?.length ?? 0) + 64;
      if (this.#length > 2 * copyLimits.bytes) this.#parts = [];
      else this.#parts.push({ name, version, ...(ciphertext && { ciphertext }) });
    }
    if (head === undefined) return;
    const tooLong = this.#length > 2 * copyLimits.bytes;
    const all = this.#parts;
    this.#parts = [];
    this.#length = 0;
    const stored = (problem: string | undefined) =>
      this.#send({ case: 'stateStored', value: { version: this.#copy.version, problem: problem ?? '' } });
    if (tooLong) {
      stored(`this host keeps at most ${copyLimits.bytes} bytes, the update has more`);
      return;
    }
    this.#copy.update({ base, entries: all, head }).then(stored, (error: unknown) => {
      this.#log('error', 'the copy of the signer’s state could not be stored', { error: errorText(error) });
      stored('the host could not write it');
    });
  }

  /** Names and versions of all entries. */
  list(): void {
    const { version } = this.#copy;
    const names = this.#copy.entries().map((entry) => ({ name: entry.name, version: entry.version }));
    for (let at = 0; ; at += listedAtOnce) {
      const last = at + listedAtOnce >= names.length;
      this.#send({
        case: 'stateListing',
        value: { version, entries: names.slice(at, at + listedAtOnce), last },
      });
      if (last) return;
    }
  }
}
