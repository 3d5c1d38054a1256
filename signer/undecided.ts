import type { Answer, ClientIdentity } from '../proto/answer.ts';
import { restsOn } from '../proto/hsmd/depends.ts';
import { callOf } from '../proto/hsmd/message.ts';

/**
 * Requests that the node has the answer of while they are being decided here: what rests on one of them waits, whatever
 * lane it came in. Nothing is safe by this order alone; without it an honest node's request would be refused for want
 * of what is still on its way.
 */
export class Undecided {
  readonly #deciding = new Map<Promise<Answer>, ClientIdentity>();

  /** Remembers a request until it is decided. */
  add(client: ClientIdentity, decision: Promise<Answer>): void {
    this.#deciding.set(decision, client);
    const forget = () => this.#deciding.delete(decision);
    decision.then(forget, forget);
  }

  /** Everything that a request has to wait for. */
  before(client: ClientIdentity, request: Uint8Array): readonly Promise<Answer>[] {
    const call = callOf(request);
    if (call === undefined || this.#deciding.size === 0) return [];
    const asked = { call, client, request };
    return [...this.#deciding].flatMap(([decision, acknowledged]) => (restsOn(asked, acknowledged) ? [decision] : []));
  }
}
