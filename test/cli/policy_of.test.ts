/** A policy as programs open it: the state in its folder, the owner's word, and what a signer without one leaves behind. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { answerOwner } from '../../cli/approver_requests.ts';
import { UsageError } from '../../cli/command.ts';
import { exists, type OpenPolicy, openPolicy, type PolicyParts, readPolicy } from '../../cli/policy_of.ts';
import { loadRecordings } from '../../cli/recordings.ts';
import type { Answer, ClientIdentity } from '../../proto/answer.ts';
import { systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { decodeMessage, encodeMessage, messageType } from '../../proto/hsmd/message.ts';
import type { Log } from '../../proto/log.ts';
import { Secret } from '../../proto/secret.ts';
import { noble } from '../../signer/crypto/noble.ts';
import { Signer } from '../../signer/dispatch.ts';
import { openHsmSecret } from '../../signer/keys/hsm_secret.ts';
import { localLimits, localOwner } from '../../signer/policy/local_owner.ts';
import { emptyFile, readPolicyFile } from '../../signer/policy/policy_file.ts';
import type { Outgoing } from '../../signer/policy/purpose.ts';
import { profiles } from '../../signer/policy/settings.ts';
import { StoreError } from '../../signer/store/store.ts';
import { temporaryDirectory } from './keyhold_process.ts';

const [recorded] = await loadRecordings(['test/vectors/hsmd/traces/zero_conf/l1.jsonl.gz']);
if (recorded === undefined) throw new Error('no recording');
const { requests, secretFile } = recorded;
const init = requests.find(({ bytes }) => messageType(bytes) === calls.init.request.number)?.bytes ?? new Uint8Array();

interface Opened {
  readonly opened: OpenPolicy;
  readonly signer: Signer;
  readonly said: readonly string[];
}

/** Opens a policy and a signer that was told `init`. */
async function open(folder: string, change: Partial<PolicyParts> = {}): Promise<Opened & AsyncDisposable> {
  const said: string[] = [];
  const log: Log = (level, message, fields) => said.push(`${level} ${message} ${fields?.['by'] ?? ''}`);
  const parts = { file: emptyFile, begin: false, owner: 'remote', clock: systemClock, entropy: systemEntropy } as const;
  const opened = await openPolicy({ ...parts, folder, log, secp: noble, ...change });
  const secret = { open: () => openHsmSecret(secretFile, undefined) };
  const signer = new Signer({ secp: noble, secret, policy: opened.policy });
  return { opened, signer, said, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

async function folderOf(t: ExecutionContext): Promise<string> {
  return join(await temporaryDirectory(t), 'state');
}

const lightningd: ClientIdentity = { nodeId: new Uint8Array(33), dbid: 0n, capabilities: 0xffffn };
const keysend = encodeMessage(calls.preapproveKeysend.request, {
  destination: noble.publicKey(new Secret(new Uint8Array(32).fill(5))),
  paymentHash: new Uint8Array(32).fill(9),
  amountMsat: 5_000_000n,
});

function isApproved(answer: Answer): boolean {
  if (answer.kind !== 'reply') throw new Error(`expected a reply, got ${answer.kind}`);
  return decodeMessage(calls.preapproveKeysend.reply, answer.bytes).approved;
}

test('a payment is refused, lies on the owner’s desk, and passes after the owner’s word; the state remembers it', async (t) => {
  const folder = await folderOf(t);
  {
    await using running = await open(folder, { begin: true });
    const { signer, opened } = running;
    t.is((await signer.handle(lightningd, init)).kind, 'reply');
    t.false(isApproved(await signer.handle(lightningd, keysend)));
    if (opened.owned === undefined) return t.fail('nobody listens to the owner');
    const list = answerOwner(opened.owned, { method: 'list' });
    t.like(list, {
      asked: { 0: { id: 1, kind: 'keysend', how: 'keysend', amount_msat: '5000000' } },
      refused: { 0: { rule: 'policy-commitment-payment-approved', request: 'preapprove_keysend' } },
    });
    answerOwner(opened.owned, { method: 'approve', id: 1, uses: 1, until: opened.owned.now() + 600 });
    t.true(isApproved(await signer.handle(lightningd, keysend)));
  }
  await using again = await open(folder);
  t.is((await again.signer.handle(lightningd, init)).kind, 'reply');
  t.true(isApproved(await again.signer.handle(lightningd, keysend)), 'after a restart');
});

test('inline the local caller is the owner', async (t) => {
  await using running = await open(await folderOf(t), { begin: true, owner: 'local' });
  await running.signer.handle(lightningd, init);
  t.true(isApproved(await running.signer.handle(lightningd, keysend)));
});

test('the local caller says yes to everything but what the file limits', async (t) => {
  const purposes: readonly Outgoing[] = [
    {
      kind: 'pay',
      how: 'uninvoiced',
      hash: '',
      amountMsat: 1n,
      feeBudgetMsat: 1n,
      payee: undefined,
      invoice: undefined,
    },
    { kind: 'spend', script: '', amountSat: 1n },
    { kind: 'open', peer: '', amountSat: 1n },
    { kind: 'push', peer: '', amountMsat: 1n },
    { kind: 'spliceOut', peer: '', amountSat: 1n },
    { kind: 'closeTo', script: '', amountSat: 1n },
  ];
  const allowed = async (settings: Parameters<typeof localOwner>[0]) => {
    const approver = localOwner(settings);
    const answers = await Promise.all(purposes.map((purpose) => approver.approve(purpose, 0)));
    return purposes.filter((_, i) => answers[i] !== false).map(({ kind }) => kind);
  };
  t.is((await allowed(profiles.mainnet)).length, purposes.length);
  t.false((await allowed({ ...profiles.mainnet, paymentsMsatPerDay: 1n })).includes('pay'));
  t.deepEqual(await allowed({ ...profiles.mainnet, onchainSatPerDay: 1n }), ['pay', 'push', 'closeTo']);
});

test('inline the limits of the file are said as what they are', async (t) => {
  t.deepEqual(localLimits(profiles.mainnet), []);
  const payments = { autoPayMsat: 5n, paymentsMsatPerDay: 7n };
  t.deepEqual(localLimits({ ...profiles.mainnet, ...payments, onchainSatPerDay: 9n }), [
    'payments: keyhold approve is needed above 5 msat each and 7 msat a day',
    'on-chain: keyhold approve is needed above 9 sat a day',
  ]);
  t.regex(localLimits({ ...profiles.mainnet, paymentsMsatPerDay: 7n })[0] ?? '', /all need keyhold approve/);
  const file = readPolicyFile('onchain_sat_per_day = 9');
  await using running = await open(await folderOf(t), { begin: true, owner: 'local', file });
  await running.signer.handle(lightningd, init);
  t.deepEqual(
    running.said.filter((line) => line.startsWith('warn')),
    ['warn limits for whoever calls lightningd '],
  );
});

test('without a state a signer begins none by itself, and two do not share one', async (t) => {
  const folder = await folderOf(t);
  await t.throwsAsync(open(folder), { instanceOf: UsageError, message: /^no signer state in .*--new-state/ });
  t.false(await exists(folder));
  await using _first = await open(folder, { begin: true });
  await t.throwsAsync(open(folder), { instanceOf: StoreError, message: /open in another signer/ });
});

test('what is signed without a policy makes the state unusable with one', async (t) => {
  const folder = await folderOf(t);
  const none = { file: { ...emptyFile, policy: 'none' } as const };
  {
    await using running = await open(folder, none);
    t.regex(running.said.join('\n'), /^warn policy = none: this signer signs whatever it is asked/);
    t.is(running.opened.owned, undefined);
    t.is((await running.signer.handle(lightningd, init)).kind, 'reply');
  }
  t.false(await exists(folder));
  await (await open(folder, { begin: true }))[Symbol.asyncDispose]();
  await (await open(folder, none))[Symbol.asyncDispose]();
  await t.throwsAsync(open(folder, { begin: true }), {
    instanceOf: UsageError,
    message: /is out of date: .*without a policy/,
  });
});

test('a file for another network is refused at init, and says what is wrong', async (t) => {
  const file = readPolicyFile('[allow]\naddresses = ["bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"]');
  await using running = await open(await folderOf(t), { begin: true, file });
  const answer = await running.signer.handle(lightningd, init);
  t.like(answer, { kind: 'refused', tag: 'policy-init' });
  t.regex(
    answer.kind === 'refused' ? answer.message : '',
    /the policy file: allow.addresses\[0\]: expected an address of regtest/,
  );
});

test('a policy that is weaker than it could be says so at every start', async (t) => {
  const file = readPolicyFile('[severity]\npolicy-funding-max = "warn"');
  await using running = await open(await folderOf(t), { begin: true, file });
  await running.signer.handle(lightningd, init);
  t.true(running.said.includes('warn the policy is weakened policy-funding-max only warns'), running.said.join('\n'));
});

test('a refusal lies on the owner’s desk with its rule', async (t) => {
  const file = readPolicyFile('max_channels = 0');
  await using running = await open(await folderOf(t), { begin: true, file });
  await running.signer.handle(lightningd, init);
  const newChannel = requests.find(({ bytes }) => messageType(bytes) === calls.newChannel.request.number);
  if (newChannel === undefined || running.opened.owned === undefined) return t.fail('nothing to ask');
  t.like(await running.signer.handle(lightningd, newChannel.bytes), {
    kind: 'refused',
    tag: 'policy-channel-max-channels',
  });
  t.like(answerOwner(running.opened.owned, { method: 'list' }), {
    refused: { 0: { rule: 'policy-channel-max-channels', request: 'new_channel', times: 1 } },
  });
});

test('a policy file is read once it makes sense on some network', async (t) => {
  const path = join(await temporaryDirectory(t), 'policy.toml');
  const read = async (text: string) => {
    await writeFile(path, text);
    return readPolicy(path, noble);
  };
  t.deepEqual(await readPolicy(undefined, noble), emptyFile);
  t.is((await readPolicy('none', noble)).policy, 'none');
  t.like(await read('max_htlcs = 30\nmax_delay_blocks = 100'), { values: { maxHtlcs: 30 } });
  await t.throwsAsync(read('max_delay_blocks = 3'), {
    instanceOf: UsageError,
    message: /policy.toml: expected min_delay_blocks/,
  });
  await t.throwsAsync(read('[allow]\naddresses = ["x"]'), {
    instanceOf: UsageError,
    message: /expected an address of bitcoin, got "x"/,
  });
});
