/** `keyhold approvals` and `keyhold approve`: the owner's word, from another terminal or a program. */

import { join } from 'node:path';
import { requestOf } from './approve_request.ts';
import type { LeaveJson, ListJson, OwnerRequest } from './approver_requests.ts';
import { askSigner } from './approver_socket.ts';
import { leaveWords, listWords } from './approver_words.ts';
import { command, type Given } from './command.ts';
import { dirOption } from './directory.ts';

const stateOption = {
  value: 'DIR',
  means: 'the signer’s state folder (default: state beside the certificates; inline it is keyhold-state)',
};
const jsonOption = { means: 'print JSON, for programs' };

/** What the signer answers is what approver_requests.ts gives: both ends are of one version. */
async function ask<T>(given: Given<'dir' | 'state'>, request: OwnerRequest): Promise<T> {
  const state = given.option('state') ?? join(given.option('dir') ?? '', 'state');
  return (await askSigner(join(state, 'owner.sock'), request)) as T;
}

export const approvals = command({
  name: 'approvals',
  summary: 'List what a signer was asked and refused, and what is allowed.',
  explanation:
    'Asks a running signer over the socket in its state folder. Nothing here changes anything; see keyhold approve.',
  options: { dir: dirOption, state: stateOption, json: jsonOption },
  async run(given) {
    const list = await ask<ListJson>(given, { method: 'list' });
    console.log(given.has('json') ? JSON.stringify(list, undefined, 2) : listWords(list));
    return 0;
  },
});

export const approve = command({
  name: 'approve',
  summary: 'Say yes to what a signer was asked, or to something in advance.',
  operands: '[NUMBER]',
  explanation:
    'NUMBER is from keyhold approvals. The signer never waits for a person: it refused, and says yes when lightningd tries\n' +
    'again. A payment and its attempts count as one use. What was not used ends with its time, or with the signer.',
  options: {
    invoice: { value: 'INVOICE', means: 'allow paying this invoice, BOLT 11 or 12, or whatever answers this offer' },
    amount: { value: 'MSAT', means: 'how much, where the invoice does not say' },
    keysend: { value: 'NODEID:MSAT', means: 'allow a keysend to this node' },
    output: { value: 'ADDRESS:SAT', means: 'allow an on-chain output' },
    'splice-out': { value: 'ADDRESS:SAT', means: 'allow a splice that pays this' },
    close: { value: 'ADDRESS:SAT', means: 'allow closing a channel to this address' },
    uses: { value: 'N', means: 'how many times', default: '1' },
    until: { value: 'WHEN', means: 'a span (30m, 12h, 7d) or a time (2027-01-31T12:00Z)', default: '24h' },
    withdraw: { means: 'take NUMBER back instead: a leave, or what was asked' },
    dir: dirOption,
    state: stateOption,
    json: jsonOption,
  },
  async run(given) {
    const request = requestOf(given, Date.now());
    const answer = await ask<LeaveJson | { readonly withdrawn: number }>(given, request);
    if (given.has('json')) console.log(JSON.stringify(answer, undefined, 2));
    else if ('withdrawn' in answer) console.log(`taken back: ${answer.withdrawn}`);
    else console.log(`allowed as ${answer.id}: ${leaveWords(answer)}`);
    return 0;
  },
});
