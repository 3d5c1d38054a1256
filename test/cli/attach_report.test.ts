/** What `keyhold status` shows of a signer's policy, its state's copy and the chain, over the real link. */

import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import test from 'ava';
import { WelcomeSchema } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import { AttachReport } from '../../signer/attach_report.ts';
import { until } from '../server/host_under_test.ts';
import { MemoryChain } from '../signer/chain/memory_chain.ts';
import { network } from '../signer/chain/mining.ts';
import { run } from './in_process.ts';
import { attachTo, openHostAt, placeFor, RecordedNode } from './linked_signer.ts';

/** The recorded clock's time, in seconds. */
const now = 1_600_000_000;

test.serial(
  'status says which rules are not in force, and when they come into force with news of the chain',
  async (t) => {
    const place = await placeFor(t, 'everyday/l1');
    const chain = new MemoryChain(network('regtest'));
    await using host = await openHostAt(place, { chain });
    const [port] = [host.port];
    const status = async () => {
      const { stdout } = await run('status', '--dir', place.directory, '--host', `127.0.0.1:${port}`);
      return stdout;
    };
    await using _signer = await attachTo(port, place, { begin: true });
    const node = new RecordedNode(host);
    const { requests } = place.session;
    await node.play(requests.slice(0, requests.findIndex(({ bytes }) => callOf(bytes) === 'init') + 1));
    const copy = await host.copyOf('alice');
    await until(() => (copy?.version ?? 0n) > 0n, 'the copy has begun');
    const before = await status();
    t.regex(before, /policy {4}validating/);
    t.regex(
      before,
      /not in force, for want of news of the chain: policy-commitment-htlc-cltv-range, policy-chain-outpoint-buried/,
    );
    t.regex(before, /state copy {2}version \d+, \d+\.\d s old/);
    t.notRegex(before, /SIGNS NOTHING/);

    chain.mine(20, now);
    const { signers } = host.node('alice').relay;
    await until(() => signers.list()[0]?.port.report?.inactive.length === 0, 'the rules are in force');
    t.notRegex(await status(), /not in force/);
  },
);

test.serial('status says why a signer signs nothing', async (t) => {
  const place = await placeFor(t, 'everyday/l1');
  await using host = await openHostAt(place);
  const node = new RecordedNode(host);
  const state = join(place.directory, 'state', 'store', 'state.log');
  const early = join(place.directory, 'early');
  for (const count of [60, 75]) {
    await using _signer = await attachTo(host.port, place, { begin: count === 60 });
    await node.play(place.session.requests.slice(0, count));
    const copy = await host.copyOf('alice');
    await until(() => (copy?.version ?? 0n) >= (count === 60 ? 1n : 4n), 'the copy follows');
    if (count === 60) await copyFile(state, early);
  }
  await copyFile(early, state);
  await using _old = await attachTo(host.port, place);
  const { signers } = host.node('alice').relay;
  const problem = () => signers.list()[0]?.port.report?.problem;
  await until(() => problem() !== undefined && problem() !== '', 'it says why');
  const { stdout } = await run('status', '--dir', place.directory, '--host', `127.0.0.1:${host.port}`);
  t.regex(stdout, /SIGNS NOTHING: .*keyhold signer recover/);
});

test('a report is sent once for each link, and again only when it changes', (t) => {
  let weakened = ['a'];
  const sent: unknown[] = [];
  const report = new AttachReport(
    () => ({ policy: 'validating', inactive: [], weakened, problem: undefined }),
    () => undefined,
  );
  const attach = () => report.attached(create(WelcomeSchema, {}), (message) => sent.push(message.value));
  report.refresh();
  t.is(sent.length, 0);
  attach();
  report.refresh();
  report.receive({ case: 'chainNews', value: {} as never }); // of which only the kind is looked at
  t.deepEqual(sent, [{ policy: 'validating', inactive: [], weakened: ['a'], problem: '' }]);
  weakened = ['a', 'b'];
  report.refresh();
  t.is(sent.length, 2);
  report.detached();
  attach();
  t.is(sent.length, 3);
});
