/**
 * What one node is answered without waiting for its signer: what is known beforehand (shortcuts.ts), and what may be
 * acknowledged before the signer decides (acknowledge.ts), once it is durable here where it must be.
 */

import type { Answer, ClientIdentity } from '../proto/answer.ts';
import type { Call } from '../proto/hsmd/calls.ts';
import { errorText, type Log } from '../proto/log.ts';
import { acknowledgementOf } from './acknowledge.ts';
import type { NodeJournal, Undecided } from './journal.ts';
import { Shortcuts } from './shortcuts.ts';
import type { SignerPort } from './signer_port.ts';
import { preapprovesNothing, type Start } from './start.ts';
import type { AnsweredBy } from './tally.ts';

export interface EarlyOptions {
  readonly log: Log;
  /** Where what is acknowledged is durable; undefined: then what would have to be is not acknowledged. */
  readonly journal?: NodeJournal | undefined;
  /** Penalty transactions for watchtowers go to lightningd unsigned, and at once; false if not given. */
  readonly unsignedPenalties?: boolean | undefined;
  /** Whether every request waits for the signer's own answer to it: to measure with; false if not given. */
  readonly alwaysAsk?: boolean | undefined;
}

export interface EarlyAnswer {
  readonly answer: Answer;
  readonly by: Exclude<AnsweredBy, 'asked'>;
  /** Of what is acknowledged: where it stands in the journal, if it does. */
  readonly number?: bigint | undefined;
}

/** More are not acknowledged: the next waits for the signer. */
const mostUndecided = 4096;

export class Early {
  readonly #options: EarlyOptions;
  readonly #shortcuts = new Shortcuts();
  /** The session of the signer that is active, or was last. */
  #serving: string | undefined;

  constructor(options: EarlyOptions) {
    this.#options = options;
  }

  /** What an earlier run of this host acknowledged and no signer has decided. */
  get left(): readonly Undecided[] {
    return this.#options.journal?.left ?? [];
  }

  /** The answer to a request of a lightningd that has started; undefined where it has to wait for `port`'s. */
  async answer(
    client: ClientIdentity,
    call: Call,
    request: Uint8Array,
    {
      start,
      port,
      undecided,
    }: { readonly start: Start; readonly port: SignerPort | undefined; readonly undecided: number },
  ): Promise<EarlyAnswer | undefined> {
    const { alwaysAsk = false, journal, unsignedPenalties = false, log } = this.#options;
    if (alwaysAsk) return undefined;
    const known = this.#shortcuts.answer(client, call, request);
    if (known !== undefined || port?.keepsOrder !== true || undecided >= mostUndecided) return known;
    const acknowledgement = acknowledgementOf(call, request, {
      point: (n) => this.#shortcuts.point(client, n),
      approvesPayments: port.approvesPayments === true && !preapprovesNothing(start),
      unsignedPenalties,
    });
    if (acknowledgement === undefined || (acknowledgement.durable && journal === undefined)) return undefined;
    try {
      const number = acknowledgement.durable ? await journal?.append(client, request) : undefined;
      return { answer: { kind: 'reply', bytes: acknowledgement.reply }, by: 'acknowledged', number };
    } catch (error: unknown) {
      log('error', 'the journal cannot be written: requests wait for the signer', { problem: errorText(error) });
      return undefined;
    }
  }

  /** The signer has decided what stands there in the journal. */
  decided(number: bigint | undefined): void {
    if (number !== undefined) this.#options.journal?.decided(number);
  }

  /** The signer is told of a request: what it gave ahead for this client's next one will not be asked for. */
  moveOn(client: ClientIdentity): void {
    this.#shortcuts.moveOn(client);
  }

  /** Takes from a signer's answer what it says beyond this one request. */
  learn(client: ClientIdentity, call: Call, request: Uint8Array, answer: Answer): void {
    this.#shortcuts.learn(client, call, request, answer);
  }

  /** This signer is active now. Where it is another one, what the one before gave ahead is not given any more. */
  turnTo({ session }: SignerPort): void {
    if (this.#serving !== undefined && this.#serving !== session) this.#shortcuts.otherSigner();
    this.#serving = session;
  }
}
