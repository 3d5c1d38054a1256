/**
 * What one node is answered without waiting for its signer: what is known beforehand (shortcuts.ts), and what may be
 * acknowledged while the signer decides (acknowledge.ts), once it is durable here where it must be.
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

/** An answer that needs no signer at all. */
export interface KnownAnswer {
  readonly answer: Answer;
  readonly by: Exclude<AnsweredBy, 'asked' | 'acknowledged'>;
}

/** An answer that the node may have before the signer decides. */
export interface Pledge {
  readonly answer: Answer;
  /** Whether it may, once that is certain: the request is durable here where it must be. Never rejects. */
  readonly isGood: Promise<boolean>;
  /** The signer has decided: nothing has to be kept for it any more. */
  decided(): void;
}

/** More are not acknowledged: the next waits for the signer. */
const mostPledged = 4096;

export class Early {
  readonly #options: EarlyOptions;
  readonly #shortcuts = new Shortcuts();
  /** The session of the signer that is active, or was last. */
  #serving: string | undefined;
  /** Nothing more can be made durable before this host starts again. */
  #diskFailed = false;

  constructor(options: EarlyOptions) {
    this.#options = options;
  }

  /** What an earlier run of this host acknowledged and no signer has decided. */
  get left(): readonly (Undecided & { readonly pledge: Pledge })[] {
    const { journal } = this.#options;
    return (journal?.left ?? []).map((entry) => {
      const decided = () => journal?.decided(entry.number);
      return { ...entry, pledge: { answer: { kind: 'silent' }, isGood: Promise.resolve(true), decided } };
    });
  }

  /** The answer to a request of a lightningd that has started, where it is known. */
  known(client: ClientIdentity, call: Call, request: Uint8Array): KnownAnswer | undefined {
    return this.#options.alwaysAsk === true ? undefined : this.#shortcuts.answer(client, call, request);
  }

  /**
   * What a request that is not known may be answered with before `port` decides; undefined where the node has to wait.
   * The caller sees to it that the request is decided, whatever comes, and before what rests on it.
   */
  pledge(
    client: ClientIdentity,
    call: Call,
    request: Uint8Array,
    {
      start,
      port,
      pledged,
    }: { readonly start: Start; readonly port: SignerPort | undefined; readonly pledged: number },
  ): Pledge | undefined {
    const { alwaysAsk = false, unsignedPenalties = false } = this.#options;
    if (alwaysAsk || port?.keepsOrder !== true || pledged >= mostPledged) return undefined;
    const acknowledgement = acknowledgementOf(call, request, {
      point: (n) => this.#shortcuts.point(client, n),
      approvesPayments: port.approvesPayments === true && !preapprovesNothing(start),
      unsignedPenalties,
    });
    if (acknowledgement === undefined) return undefined;
    const answer: Answer = { kind: 'reply', bytes: acknowledgement.reply };
    return acknowledgement.durable
      ? this.#writtenDown(client, request, answer)
      : { answer, isGood: Promise.resolve(true), decided() {} };
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

  /** An answer that is good when the request is in the journal. */
  #writtenDown(client: ClientIdentity, request: Uint8Array, answer: Answer): Pledge | undefined {
    const { journal, log } = this.#options;
    if (journal === undefined || this.#diskFailed) return undefined;
    const number = journal.append(client, request).catch((error: unknown) => {
      if (!this.#diskFailed)
        log('error', 'the journal cannot be written: requests wait for the signer', { problem: errorText(error) });
      this.#diskFailed = true;
      return undefined;
    });
    const decided = () => void number.then((found) => found !== undefined && journal.decided(found));
    return { answer, isGood: number.then((found) => found !== undefined), decided };
  }
}
