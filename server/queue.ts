// What one node's signer has not decided: requests that the node waits for, and those it may have the answer of. In order
// of their ids, and of what rests on what.

import { restsOn } from '../proto/hsmd/depends.ts';
import type { SignerPort } from './signer_port.ts';
import { Waiting, type WaitingRequest } from './waiting.ts';

/** Where a node's ids begin; those below are special on some links. */
const FIRST_ID = 1000n;

export class Queue implements Iterable<Waiting> {
  readonly #waiting = new Map<bigint, Waiting>();
  #nextId = FIRST_ID;

  [Symbol.iterator](): Iterator<Waiting> {
    return this.#waiting.values();
  }

  /** An id that no other request has, for one that does not wait here. */
  newId(): bigint {
    this.#nextId += 1n;
    return this.#nextId - 1n;
  }

  /** Every id below this one is settled. */
  get oldestId(): bigint {
    const [oldest = this.#nextId] = this.#waiting.keys();
    return oldest;
  }

  add(request: Omit<WaitingRequest, 'id'>): Waiting {
    const waiting = new Waiting({ id: this.newId(), ...request });
    this.#waiting.set(waiting.request.id, waiting);
    return waiting;
  }

  delete({ request }: Waiting): void {
    this.#waiting.delete(request.id);
  }

  /** Everything that the node waits for, oldest first. */
  unanswered(): readonly Waiting[] {
    return [...this].filter(({ open }) => open);
  }

  /** Everything that the node may have the answer of, oldest first. */
  pledged(): readonly Waiting[] {
    return [...this].filter(({ request, settled }) => request.pledge !== undefined && !settled);
  }

  /** Whether everything that a request rests on is decided, or will be by this signer before it. */
  mayBeOffered(waiting: Waiting, port: SignerPort): boolean {
    return this.#restsOn(waiting).every(({ holder }) => holder === port && port.keepsOrder === true);
  }

  /** Whether everything that a request rests on is decided. */
  stands(waiting: Waiting): boolean {
    return this.#restsOn(waiting).length === 0;
  }

  #restsOn({ request: { id, lane, call, bytes } }: Waiting): readonly Waiting[] {
    const asked = { call, client: lane.client, request: bytes };
    return this.pledged().filter(({ request }) => request.id < id && restsOn(asked, request.lane.client));
  }
}
