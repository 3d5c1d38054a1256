/** The form of a rule's test: a recorded request that is judged well, and the same with one thing wrong. */

import test from 'ava';
import type { Call, RequestOf } from '../../../proto/hsmd/calls.ts';
import type { Tag } from '../../../signer/policy/rules.ts';
import { Refusal } from '../../../signer/refusal.ts';
import { type Moment, momentOf, type Under } from './recorded_scope.ts';

export interface Case<C extends Call> {
  /** What is wrong, as the end of "refuses …". */
  readonly refuses: string;
  /** The recorded request: node and how many of its kind go before. */
  readonly at: readonly [node: string, call: C, nth?: number];
  readonly request?: (moment: Moment<C>) => RequestOf<C>;
  readonly under?: Under;
  /** Puts the state out of order. */
  readonly state?: (moment: Moment<C>) => void;
  /** Somebody else asks. */
  readonly capabilities?: bigint;
}

/** Registers the test of one rule: its title begins with the tag. */
export function refuses<C extends Call>(tag: Tag, { at, ...wrong }: Case<C>): void {
  test(`${tag}: refuses ${wrong.refuses}`, async (t) => {
    const moment = await momentOf(...at);
    await t.notThrowsAsync(moment.judge(), 'the recorded request');
    wrong.state?.(moment);
    const { client } = moment;
    const as = { ...client, capabilities: wrong.capabilities ?? client.capabilities };
    const error = await t.throwsAsync(moment.judge(wrong.request?.(moment), wrong.under, as), { instanceOf: Refusal });
    t.is(error.tag, tag, error.message);
  });
}
