/** `npm run demo`, as a person starts it; and what its summary says where a byte differs. */

import { readdir } from 'node:fs/promises';
import test from 'ava';
import type { Exchange } from '../../cli/demo_exchange.ts';
import { clientLabel } from '../../cli/demo_exchange.ts';
import { screen } from '../../cli/demo_screen.ts';
import { percentile, summary } from '../../cli/demo_summary.ts';
import { lightningd } from '../../cli/recordings.ts';
import { calls, capabilities } from '../../proto/hsmd/calls.ts';
import { encodeMessage, encodeReply } from '../../proto/hsmd/message.ts';
import { demoScript, said, start, temporaryDirectory } from './keyhold_process.ts';

const verdict = 'all 461 replies equal the real lightning_hsmd’s bytes';

test('the demo plays a recorded node and finds every byte equal', async (t) => {
  const TMPDIR = await temporaryDirectory(t);
  const { code, stdout, stderr } = await start(t, demoScript, [], { env: { TMPDIR } }).finished;
  t.is(code, 0, stderr);
  t.is(stdout.trimEnd().split('\n').at(-1), verdict);
  t.regex(stdout, /signer {6}\S.*, keyhold .*, active/, 'keyhold status was shown');
  t.regex(stdout, /channeld 1: .*sign_remote_commitment_tx/);
  t.regex(stdout, / 1 {2}mutual closes signed/);
  t.deepEqual(await readdir(TMPDIR), [], 'nothing is left behind');
});

test('an interrupted demo leaves nothing behind', async (t) => {
  const TMPDIR = await temporaryDirectory(t);
  const { child, stdout, finished } = start(t, demoScript, [], { env: { TMPDIR } });
  await said(child.stdout, stdout, 'check_bip86_pubkey');
  child.kill('SIGINT');
  const { code, stderr } = await finished;
  t.is(code, 130);
  t.is(stderr, 'stopped; nothing is left behind\n');
  t.deepEqual(await readdir(TMPDIR), []);
});

test('the demo with real nodes says which programs are missing', async (t) => {
  const env = { CLN: '/nowhere/lightning', BITCOIN: '/nowhere/bitcoin' };
  const { code, stderr } = await start(t, demoScript, ['--lightningd'], { env }).finished;
  t.is(code, 2);
  t.regex(stderr, /lightningd \(not in \/nowhere\/lightning\), bitcoind \(not in \/nowhere\/bitcoin\), bitcoin-cli/);
});

test('the demo explains itself, and refuses options it does not have', async (t) => {
  const [help, unknown] = await Promise.all([
    start(t, demoScript, ['--help']).finished,
    start(t, demoScript, ['--lightning']).finished,
  ]);
  t.is(help.code, 0);
  t.regex(help.stdout, /npm run demo \[-- --lightningd\]/);
  t.is(unknown.code, 2);
  t.regex(unknown.stderr, /--lightning.*see: npm run demo -- --help/);
});

function checkPubkey(ok: boolean, expected: boolean | undefined, milliseconds = 1): Exchange {
  return {
    conn: 0,
    client: lightningd,
    bytes: encodeMessage(calls.checkPubkey.request, { index: 1, pubkey: new Uint8Array(33) }),
    outcome: encodeReply('checkPubkey', { ok }),
    expected: expected === undefined ? undefined : encodeReply('checkPubkey', { ok: expected }),
    milliseconds,
  };
}

test('a byte that differs is explained, and makes the exit code 1', (t) => {
  const { text, exitCode } = summary([checkPubkey(true, true), checkPubkey(true, false)]);
  t.is(exitCode, 1);
  t.regex(text, /demo row 2: check_pubkey from lightningd\n {2}ok\n {4}ours true\n {4}real false/);
  t.is(text.split('\n').at(-1), '1 of 2 replies differ from the real lightning_hsmd’s bytes');
});

test('without a real hsmd nothing is claimed', (t) => {
  const { text, exitCode } = summary([checkPubkey(true, undefined)]);
  t.is(exitCode, 0);
  t.regex(text, /0 of 1 replies were compared/);
});

test('percentiles are values that occurred', (t) => {
  const values = Array.from({ length: 100 }, (_, i) => i + 1);
  t.is(percentile(values, 0.5), 50);
  t.is(percentile(values, 0.95), 95);
  t.is(percentile([7], 0.95), 7);
  t.is(percentile([], 0.5), 0);
});

test('clients are called by the name of their daemon', (t) => {
  const client = {
    nodeId: new Uint8Array(33),
    dbid: 3n,
    capabilities: capabilities.commitmentPoint | capabilities.signClosingTx,
  };
  t.is(clientLabel({ conn: 0, client: lightningd }), 'lightningd');
  t.is(clientLabel({ conn: 7, client }), 'closingd 3');
  t.is(clientLabel({ conn: 7, client: { ...client, capabilities: 1n << 40n } }), 'client 7 3');
});

test('a terminal gets a line for each request, a log one for each run of them', (t) => {
  const shownOn = (isTTY: boolean) => {
    let shown = '';
    const to = screen({ isTTY, write: (text) => (shown += text) }, false);
    for (const passed of [checkPubkey(true, true, 1), checkPubkey(true, true, 2), checkPubkey(true, false, 3)])
      to.exchange(passed);
    to.block('end');
    return shown;
  };
  t.is(
    shownOn(false),
    '1-2 lightningd: check_pubkey ×2 1.0-2.0 ms =\n3 lightningd: check_pubkey 3.0 ms ≠ DIFFERENT\nend\n',
  );
  t.regex(shownOn(true), /^ {4}1 {2}lightningd +check_pubkey +1\.0 ms {2}=\n {4}2 .*\n {4}3 .*≠ DIFFERENT\nend\n$/);
});
