/** A commitment of ours that the node was told of before it was judged, and then is not good enough. */

import test from 'ava';
import { lightningd, loadRecordings, type RecordedRequest } from '../../../cli/recordings.ts';
import type { Answer } from '../../../proto/answer.ts';
import { systemClock } from '../../../proto/clock.ts';
import { type Call, calls } from '../../../proto/hsmd/calls.ts';
import { callOf, decodeMessage, encodeMessage } from '../../../proto/hsmd/message.ts';
import { silent } from '../../../proto/log.ts';
import type { Signer } from '../../../signer/dispatch.ts';
import { approveAll } from '../../../signer/policy/purpose.ts';
import { profiles, type Settings } from '../../../signer/policy/settings.ts';
import { validating } from '../../../signer/policy/validating.ts';
import { type Memory, openMemoryStore } from '../../../signer/store/memory.ts';
import type { Store } from '../../../signer/store/store.ts';
import { signerOf } from '../../server/replayed.ts';

/** When the recordings were made, so that their invoices have not expired. */
const clock = { ...systemClock, now: () => Date.UTC(2026, 4, 30) };
const never = () => new AbortController().signal;

interface Options {
  readonly settings?: Partial<Settings>;
  /** Whether the owner allows payments. */
  readonly approves?: boolean;
}

/** A recorded node's signer, which may be stopped and started again with other settings. */
async function setUp(name: string, options: Options = {}) {
  const [session] = await loadRecordings([`test/vectors/hsmd/traces/${name}.jsonl.gz`]);
  if (session === undefined) throw new Error(`no recording ${name}`);
  const memory: Memory = {};
  let store: Store | undefined;
  let signer: Signer;
  const start = async ({ settings = {}, approves = true }: Options) => {
    await store?.[Symbol.asyncDispose]();
    const opened = openMemoryStore(memory, memory.state === undefined ? 'create' : 'fail');
    store = opened;
    const policy = validating({
      settings: { ...profiles.test, ...settings },
      approver: approves ? approveAll : { name: 'no payments', approve: ({ kind }) => Promise.resolve(kind !== 'pay') },
      openStore: () => Promise.resolve(opened),
      clock,
      log: silent,
      height: () => undefined,
    });
    signer = signerOf(session, policy);
    const init = session.requests.find(({ bytes }) => callOf(bytes) === 'init');
    if (init !== undefined) await ask(init);
  };
  const ask = ({ client, bytes }: RecordedRequest, acknowledged = false): Promise<Answer> =>
    signer.handle(client, bytes, never(), acknowledged);
  /** The n-th request of a kind. */
  const find = (call: Call, n = 0): RecordedRequest => {
    const found = session.requests.filter(({ bytes }) => callOf(bytes) === call)[n];
    if (found === undefined) throw new Error(`no ${call} ${n}`);
    return found;
  };
  /** Everything up to the first commitment that has an HTLC, but for what `leaveOut` names. */
  const playUntil = async (end: RecordedRequest, leaveOut: readonly Call[] = []) => {
    for (const request of session.requests.slice(0, session.requests.indexOf(end))) {
      const call = callOf(request.bytes);
      if (call !== undefined && !leaveOut.includes(call)) await ask(request);
    }
  };
  /** What lightningd asks to close with the commitment that a request to validate it has. */
  const closeWith = ({ bytes, client }: RecordedRequest): Promise<Answer> => {
    const { tx, commitNum } = decodeMessage(calls.validateCommitmentTx.request, bytes);
    const setup = decodeMessage(calls.setupChannel.request, find('setupChannel').bytes);
    const request = encodeMessage(calls.signCommitmentTx.request, {
      peerId: client.nodeId,
      dbid: client.dbid,
      tx,
      remoteFundingKey: setup.remoteFundingPubkey,
      commitNum,
    });
    return signer.handle(lightningd, request);
  };
  await start(options);
  return { start, ask, find, playUntil, closeWith };
}

const tagOf = (answer: Answer) => (answer.kind === 'refused' ? answer.tag : answer.kind);

test('policy-channel-frozen: a refused commitment that the node holds stops the channel, and may close it where it is no worse', async (t) => {
  const { start, ask, find, playUntil, closeWith } = await setUp('everyday/l2', { settings: { maxHtlcs: 0 } });
  const [first, bad] = [find('validateCommitmentTx', 0), find('validateCommitmentTx', 2)];
  await playUntil(bad);
  t.is(tagOf(await ask(bad, true)), 'policy-commitment-htlc-count-limit');
  t.is(tagOf(await ask(find('revokeCommitmentTx'))), 'policy-channel-frozen');
  t.is(tagOf(await ask(find('signRemoteCommitmentTx', 2))), 'policy-channel-frozen');
  await start({});
  t.is(tagOf(await ask(find('revokeCommitmentTx'))), 'policy-channel-frozen', 'after a restart, whatever the settings');
  t.is(tagOf(await ask(bad, true)), 'policy-channel-frozen');
  // The other channel goes on.
  t.is(tagOf(await ask(find('getPerCommitmentPoint', 3))), 'reply');
  t.is((await closeWith(bad)).kind, 'reply');
  t.is((await closeWith(first)).kind, 'reply');
});

test('policy-channel-frozen: a refused commitment that gives us less is not signed, the one before it is', async (t) => {
  const { ask, find, playUntil, closeWith } = await setUp('everyday/l1', { approves: false });
  const [first, bad] = [find('validateCommitmentTx', 0), find('validateCommitmentTx', 1)];
  await playUntil(bad, ['preapproveInvoiceCheck', 'signRemoteCommitmentTx', 'signRemoteHtlcTx', 'validateRevocation']);
  t.is(tagOf(await ask(bad, true)), 'policy-commitment-payment-approved');
  t.is(tagOf(await ask(find('revokeCommitmentTx'))), 'policy-channel-frozen');
  t.is(tagOf(await closeWith(bad)), 'policy-commitment-scripts');
  t.is((await closeWith(first)).kind, 'reply');
});

test('policy-channel-frozen: what was not acknowledged is refused and freezes nothing', async (t) => {
  const { start, ask, find, playUntil } = await setUp('everyday/l2', { settings: { maxHtlcs: 0 } });
  const bad = find('validateCommitmentTx', 2);
  await playUntil(bad);
  t.is(tagOf(await ask(bad)), 'policy-commitment-htlc-count-limit');
  await start({});
  t.is(tagOf(await ask(bad)), 'reply');
  t.is(tagOf(await ask(find('revokeCommitmentTx'))), 'reply');
});

test('policy-channel-frozen: signatures that do not verify freeze nothing, whoever says that the node has them', async (t) => {
  const { ask, find, playUntil } = await setUp('everyday/l2');
  const good = find('validateCommitmentTx', 2);
  await playUntil(good);
  const request = decodeMessage(calls.validateCommitmentTx.request, good.bytes);
  const signature = Uint8Array.from(request.sig.signature);
  signature[40] = (signature[40] ?? 0) ^ 1;
  const sig = { ...request.sig, signature };
  const forged = { ...good, bytes: encodeMessage(calls.validateCommitmentTx.request, { ...request, sig }) };
  t.is((await ask(forged, true)).kind, 'refused');
  t.is(tagOf(await ask(good, true)), 'reply');
  t.is(tagOf(await ask(find('revokeCommitmentTx'))), 'reply');
});

test('policy-channel-frozen: what is delivered once more after it was decided, or revoked, is answered and freezes nothing', async (t) => {
  const { ask, find, playUntil } = await setUp('everyday/l2');
  const early = find('validateCommitmentTx', 2);
  const late = find('validateCommitmentTx', 5);
  await playUntil(late);
  for (const request of [early, find('validateRevocation'), late, late]) {
    const answer = await ask(request, true);
    t.deepEqual(answer, { kind: 'reply', bytes: request.expected });
  }
  t.is((await ask(early)).kind, 'refused', 'nobody but a host after a crash has a reason to ask this');
});
