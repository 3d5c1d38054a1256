/** The owner's word to a running signer: the socket, `keyhold approvals` and `approve`, and the prompt. */

import { readFileSync } from 'node:fs';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { approve } from '../../cli/approve.ts';
import { requestOf } from '../../cli/approve_request.ts';
import { answerOwner, type Owned } from '../../cli/approver_requests.ts';
import { askSigner, listenForOwner, OwnerRequestError } from '../../cli/approver_socket.ts';
import { promptOwner } from '../../cli/approver_terminal.ts';
import { parse, UsageError } from '../../cli/command.ts';
import { networkNamed } from '../../signer/chain/networks.ts';
import { Desk } from '../../signer/policy/desk.ts';
import type { Outgoing } from '../../signer/policy/purpose.ts';
import { ManualClock } from '../server/manual_clock.ts';
import { run } from './in_process.ts';
import { temporaryDirectory } from './keyhold_process.ts';

const now = Math.floor(Date.now() / 1000);
const script = '0014751e76e8199196d454941c45d1b3a323f1433bd6';
const address = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const payee = `02${'ab'.repeat(32)}`;
const payment: Outgoing = {
  kind: 'pay',
  how: 'invoice',
  hash: '77'.repeat(32),
  amountMsat: 5_000_021n,
  feeBudgetMsat: 50_000n,
  payee,
  invoice: undefined,
};
const spend: Outgoing = { kind: 'spend', script, amountSat: 20_000n };

function owner(): Owned {
  return { desk: new Desk(), now: () => now, network: () => networkNamed('regtest') };
}

/** A signer's end in a state folder. */
async function listening(t: ExecutionContext): Promise<Owned & { readonly state: string }> {
  const owned = owner();
  const state = join(await temporaryDirectory(t), 'state');
  const socket = await listenForOwner(join(state, 'owner.sock'), (request) => answerOwner(owned, request));
  t.teardown(() => socket[Symbol.asyncDispose]());
  return { ...owned, state };
}

test.serial(
  'what was asked is listed for people and programs, approved by number, and passes when asked again',
  async (t) => {
    const { desk, state } = await listening(t);
    t.is(await desk.approve(payment, now), false);
    t.is(await desk.approve(spend, now), false);
    desk.note({ tag: 'policy-funding-max', message: 'must hold: \u001b[2J', call: 'setup_channel' }, now);

    const { stdout } = await run('approvals', '--state', state);
    t.regex(
      stdout,
      /^ {4}1 {2}pay \(payment hash (77){32}\): 5000.021 sat by invoice to 02(ab){32}, fee up to 50 sat; asked once/m,
    );
    t.regex(stdout, new RegExp(`^ {4}2 {2}send on-chain ${address}: 20000 sat; asked once, last \\d{4}-\\S+Z$`, 'm'));
    t.regex(stdout, /policy-funding-max \(setup_channel\): must hold: \?\[2J$/m);
    t.false(stdout.includes('\u001b'), 'nothing steers the terminal');

    const json: unknown = JSON.parse((await run('approvals', '--state', state, '--json')).stdout);
    t.like(json, {
      asked: {
        0: {
          id: 1,
          kind: 'pay',
          how: 'invoice',
          payee,
          amount_msat: '5000021',
          rule: 'policy-commitment-payment-approved',
          times: 1,
        },
        1: { id: 2, kind: 'spend', target: address, amount_sat: '20000' },
      },
      allowed: [],
      refused: { 0: { rule: 'policy-funding-max', request: 'setup_channel' } },
    });

    const first = await run('approve', '2', '--state', state, '--until', '2099-06-01');
    t.is(first.code, 0, first.stderr);
    t.is(first.stdout, `allowed as 3: send on-chain ${address}: 20000 sat; once, until 2099-06-01T00:00:00Z\n`);
    t.is(await desk.approve(spend, now), true);
    t.is(await desk.approve(spend, now), false);

    const again = await run('approve', '2', '--state', state);
    t.is(again.code, 2);
    t.regex(again.stderr, /^keyhold: nothing with the number 2 waits: see keyhold approvals$/m);
  },
);

test.serial('what is asked says where it pays nothing but gives back', async (t) => {
  const { desk, state } = await listening(t);
  t.is(await desk.approve({ ...payment, how: 'uninvoiced', payee: undefined, givesBack: true }, now), false);
  const { stdout } = await run('approvals', '--state', state);
  t.regex(
    stdout,
    /give an incoming payment back \(payment hash (77){32}\): 5000.021 sat went out for it, and nothing proves/,
  );
  const json: unknown = JSON.parse((await run('approvals', '--state', state, '--json')).stdout);
  t.like(json, { asked: { 0: { how: 'uninvoiced', gives_back: true } } });
});

test.serial('an invoice without an amount is approved with one', async (t) => {
  const { desk, state } = await listening(t);
  t.is(await desk.approve({ ...payment, amountMsat: 0n }, now), false);
  const { stdout } = await run('approvals', '--state', state);
  t.regex(stdout, /^ {4}1 {2}pay \(payment hash (77){32}\): as much as --amount says by invoice to/m);
  const json: unknown = JSON.parse((await run('approvals', '--state', state, '--json')).stdout);
  t.like(json, { asked: { 0: { id: 1, amount_msat: undefined, fee_budget_msat: undefined } } });
  t.false(stdout.includes('fee up to'), 'that goes by the amount');
  const bare = await run('approve', '1', '--state', state);
  t.is(bare.code, 2);
  t.regex(bare.stderr, /its invoice has no amount: keyhold approve 1 --amount MSAT says what it may cost/);
  const given = await run('approve', '1', '--amount', '7_000', '--state', state);
  t.regex(given.stdout, /^allowed as 2: pay \(payment hash (77){32}\): 7 sat; once/);
  t.like(await desk.approve({ ...payment, amountMsat: 0n }, now), { amountMsat: 7000n });
  t.is(await desk.approve(spend, now), false);
  const other = await run('approve', '3', '--amount', '7000', '--state', state);
  t.regex(other.stderr, /amount: number 3 has an amount of its own/);
});

test.serial('approved in advance, and taken back', async (t) => {
  const { desk, state } = await listening(t);
  const output = await run('approve', '--output', `${address}:20_000`, '--uses', '2', '--json', '--state', state);
  t.like(JSON.parse(output.stdout), { id: 1, kind: 'spend', target: address, amount_sat: '20000', uses_left: 2 });
  t.is(await desk.approve(spend, now), true);
  const back = await run('approve', '1', '--withdraw', '--state', state);
  t.is(back.stdout, 'taken back: 1\n');
  t.is(await desk.approve(spend, now), false);
});

test.serial('no signer, or a word without sense: a sentence and exit code 2', async (t) => {
  const dir = await temporaryDirectory(t);
  const { code, stderr } = await run('approvals', '--state', dir);
  t.is(code, 2);
  t.regex(stderr, /^keyhold: no signer with a policy listens at .*owner.sock \(.*ENOENT.*\): is it running/);
});

test.serial('the socket is for its owner alone, and a dead signer’s is replaced', async (t) => {
  const state = join(await temporaryDirectory(t), 'state');
  await mkdir(state, { mode: 0o755 });
  const path = join(state, 'owner.sock');
  await writeFile(path, 'left behind');
  await using _socket = await listenForOwner(path, () => 'here');
  t.is((await stat(path)).mode & 0o777, 0o600);
  t.is((await stat(state)).mode & 0o777, 0o700);
  t.is(await askSigner(path, {}), 'here');
  await t.throwsAsync(
    listenForOwner(path, () => 'there'),
    { instanceOf: UsageError, message: /another signer listens at/ },
  );
  t.is(await askSigner(path, {}), 'here', 'a living one’s is left alone');
});

test.serial('what is no request gets an error and the next one is served', async (t) => {
  const { state } = await listening(t);
  const path = join(state, 'owner.sock');
  const refused = async (request: unknown, message: RegExp) => {
    await t.throwsAsync(askSigner(path, request), { instanceOf: UsageError, message });
  };
  await refused(5, /expected an object/);
  await refused({ method: 'sign' }, /method: expected list, approve, allow or withdraw/);
  await refused({ method: 'approve', id: '1', uses: 1, until: now + 1 }, /id: expected a whole number above 0/);
  await refused({ method: 'approve', id: 1, uses: 0, until: now + 1 }, /uses: expected/);
  await refused({ method: 'approve', id: 1, uses: 1, until: now }, /until: expected a time to come/);
  const terms = { method: 'allow', uses: 1, until: now + 1 };
  await refused(
    { ...terms, wish: { kind: 'constructor', target: script, amount: '1' } },
    /wish.kind: expected one of pay/,
  );
  await refused({ ...terms, wish: { kind: 'spend', target: 'zz', amount: '1' } }, /wish.target: expected/);
  await refused({ ...terms, wish: { kind: 'spend', target: script, amount: 1 } }, /wish.amount: expected/);
  for (const bytes of ['nonsense\n', `${'x'.repeat(70_000)}`]) {
    const connection = createConnection(path);
    connection.on('error', () => {});
    connection.end(bytes);
    await wait(20);
  }
  t.like(await askSigner(path, { method: 'list' }), { asked: [] });
});

test.serial('arguments of approve become one request', (t) => {
  const at = now * 1000;
  const of = (...args: readonly string[]) => requestOf(parse(approve, args), at);
  const terms = { uses: 1, until: now + 86_400 };
  const wish = (kind: string, target: string, amount: string) => ({
    method: 'allow' as const,
    wish: { kind, target, amount },
    ...terms,
  });
  t.deepEqual(of('7'), { method: 'approve', id: 7, ...terms });
  t.deepEqual(of('7', '--uses', '3', '--until', '30m'), { method: 'approve', id: 7, uses: 3, until: now + 1800 });
  t.deepEqual(of('7', '--withdraw'), { method: 'withdraw', id: 7 });
  t.deepEqual(of('--output', `${address}:5`), wish('spend', script, '5'));
  t.deepEqual(of('--splice-out', `${address}:5`), wish('spliceTo', script, '5'));
  t.deepEqual(of('--close', `${address}:5`), wish('closeTo', script, '5'));
  t.deepEqual(of('--keysend', `${payee.toUpperCase()}:1000`), wish('keysend', payee, '1000'));
});

interface Payable {
  readonly invoice: string;
  readonly amountMsat: string | null;
  readonly paymentHash: string;
}

/** BOLT 11's own examples. */
const { valid }: { readonly valid: readonly Payable[] } = JSON.parse(
  readFileSync('test/vectors/invoices/bolt11.json', 'utf8'),
);

test.serial('an invoice is allowed with its amount, or the one given where it has none', (t) => {
  const wishOf = (...args: readonly string[]) => {
    const request = requestOf(parse(approve, ['--invoice', ...args]), now * 1000);
    return request.method === 'allow' ? request.wish : undefined;
  };
  for (const { invoice, amountMsat, paymentHash: target } of valid) {
    const kind = 'pay';
    if (amountMsat !== null) {
      t.deepEqual(wishOf(invoice), { kind, target, amount: String(amountMsat) });
      t.throws(() => wishOf(invoice, '--amount', '1'), { message: /--amount: the invoice is for \d+ msat, not 1/ });
    } else {
      t.deepEqual(wishOf(invoice, '--amount', '21'), { kind, target, amount: '21' });
      t.throws(() => wishOf(invoice), { message: /--invoice: it has no amount: say with --amount MSAT/ });
    }
  }
});

/** What is wrong, the arguments, and what must be said. */
const mistakes: readonly (readonly [what: string, args: readonly string[], sentence: RegExp])[] = [
  ['nothing', [], /expected one of NUMBER, --invoice/],
  ['two things', ['3', '--output', `${address}:5`], /expected one of NUMBER/],
  ['no number', ['three'], /NUMBER: expected a whole number above 0, got three/],
  ['no uses', ['3', '--uses', '0'], /--uses: expected/],
  ['a time that is over', ['3', '--until', '2020-01-01'], /--until: expected a span .*got 2020-01-01/],
  ['no time', ['3', '--until', 'tomorrow'], /--until: expected a span/],
  ['an address that is none', ['--output', 'bc1q:5'], /--output: expected an address that is written right/],
  ['no amount', ['--output', address], /--output: expected ADDRESS:SAT/],
  ['an amount with a point', ['--output', `${address}:0.5`], /--output: expected a whole amount above 0, got 0.5/],
  ['a node id that is none', ['--keysend', '02ab:5'], /--keysend: expected a node id/],
  ['an invoice that is none', ['--invoice', 'lnbc1'], /--invoice: /],
  [
    'an amount for nothing',
    ['--keysend', `${payee}:5`, '--amount', '5'],
    /--amount: expected it with NUMBER or --invoice/,
  ],
  ['to take back what has no number', ['--keysend', `${payee}:5`, '--withdraw'], /--withdraw: expected a NUMBER/],
];

test.serial('every mistake in the arguments of approve gets a sentence', (t) => {
  for (const [what, args, message] of mistakes)
    t.throws(() => requestOf(parse(approve, args), now * 1000), { instanceOf: UsageError, message }, what);
});

test.serial('the prompt says what was refused, and a number typed in allows it once', async (t) => {
  const clock = new ManualClock();
  const owned = owner();
  const [input, output] = [new PassThrough(), new PassThrough()];
  let said = '';
  output.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  using _prompt = promptOwner({ ...owned, clock }, { input, output });
  const type = async (line: string) => {
    said = '';
    input.write(`${line}\n`);
    await wait(20);
    return said;
  };
  await owned.desk.approve(spend, now);
  await owned.desk.approve(payment, now);
  await wait(20);
  t.regex(
    said,
    new RegExp(`^refused until you say yes: send on-chain ${address}: 20000 sat; .*\ntype 1 to allow it once`),
  );
  t.false(said.includes('pay'), 'a host that asks without end does not fill the screen');
  t.regex(await type('yes'), /waits for your word/, 'a plain yes could be for something else by now');
  t.is(await owned.desk.approve(spend, now), false);
  t.regex(await type('1'), /^allowed: send on-chain .*; once, until .*; now have lightningd try again\n$/);
  t.is(await owned.desk.approve(spend, now), true);
  t.regex(await type('9'), /^nothing with the number 9 waits/);
});

test.serial('errors of the owner’s requests are of one kind', (t) => {
  t.throws(() => answerOwner(owner(), { method: 'withdraw', id: 4 }), {
    instanceOf: OwnerRequestError,
    message: /nothing has the number 4/,
  });
});
