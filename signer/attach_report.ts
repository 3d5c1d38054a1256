/** Tells the host, and the signer's own log, what policy this signer has: at each attach, and whenever it changes. */

import type { Promote, Welcome } from '../proto/gen/keyhold/v1/signer_link_pb.ts';
import type { SendToHost } from '../proto/link.ts';
import type { Log } from '../proto/log.ts';
import type { Companion, LinkMessage } from './companion.ts';

/** See keyhold.v1.Report. */
export interface ReportContent {
  readonly policy: string;
  readonly inactive: readonly string[];
  readonly weakened: readonly string[];
  readonly problem: string | undefined;
}

export class AttachReport implements Companion {
  readonly #read: () => ReportContent;
  readonly #log: Log;
  #send: SendToHost | undefined;
  #sent = '';

  constructor(read: () => ReportContent, log: Log) {
    this.#read = read;
    this.#log = log;
  }

  attached(_welcome: Welcome, send: SendToHost): void {
    this.#send = send;
    this.#sent = '';
    this.refresh();
  }

  promoted(_promote: Promote): void {
    this.refresh();
  }

  receive({ case: kind }: LinkMessage): void {
    if (kind === 'chainNews') this.refresh();
  }

  detached(): void {
    this.#send = undefined;
  }

  /** Says it again where it is no longer what was said last. */
  refresh(): void {
    if (this.#send === undefined) return;
    const { policy, inactive, weakened, problem } = this.#read();
    const text = JSON.stringify([policy, inactive, weakened, problem]);
    if (text === this.#sent) return;
    this.#sent = text;
    this.#log('info', 'told the host of the policy', {
      policy,
      inactive: inactive.join(' ') || 'none',
      weakened: weakened.length,
      problem,
    });
    const value = { policy, inactive: [...inactive], weakened: [...weakened], problem: problem ?? '' };
    this.#send({ case: 'report', value });
  }
}
