/** From the device to the signer: what a client signed goes over the host, and lets lightningd pay for it once. */

import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { Host as HostService } from '../../proto/gen/keyhold/v1/host_pb.ts';
import { Channel } from '../../proto/grpc.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { encodeMessage, encodeReply } from '../../proto/hsmd/message.ts';
import { boundRequest, msat, newDevice } from '../signer/approvals/clients.ts';
import { initRequest, World } from '../signer/attacks/world.ts';
import { FakeShim } from './fake_shim.ts';
import { Authority, attachSigner, openHost, temporaryDirectory } from './host_under_test.ts';
import { nodeId } from './messages.ts';

const test = anyTest as TestFn<{ authority: Authority }>;

test.before(async (t) => {
  t.context.authority = await Authority.create();
});

const keysend = (n: number) =>
  encodeMessage(calls.preapproveKeysend.request, {
    destination: nodeId,
    paymentHash: new Uint8Array(32).fill(n),
    amountMsat: 5000n,
  });

const approved = encodeReply('preapproveKeysend', { approved: true });
const notApproved = encodeReply('preapproveKeysend', { approved: false });

test('a keysend that a device signed is approved, and no second one', async (t) => {
  const { authority } = t.context;
  const world = await World.open();
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  await using _signer = attachSigner({
    port: host.port,
    identity: await authority.signer('alice'),
    handle: async (client, bytes) => ({ kind: 'reply', bytes: await world.askBytes(client, bytes) }),
    show: (request) => void world.show(request),
  });
  await using shim = await FakeShim.open(socket, 'alice');
  const ask = async (bytes: Uint8Array) => {
    shim.request(0, bytes);
    return (await shim.next()).payload;
  };
  await ask(encodeMessage(calls.init.request, initRequest));
  t.deepEqual(await ask(keysend(1)), notApproved);

  const device = await newDevice(world.keys.runes);
  const asked = {
    device,
    uri: '/cln.Node/KeySend',
    fields: [
      [1, nodeId],
      [10, msat(5000)],
    ] as const,
    at: world.now,
  };
  const evidence = await boundRequest(asked, world.keys.node.point);
  await using channel = new Channel(`127.0.0.1:${host.port}`, await authority.operator());
  const { signal } = new AbortController();
  await channel.client(HostService).show({ node: 'alice', evidence }, { signal });
  t.deepEqual(await ask(keysend(1)), approved);
  await channel.client(HostService).show({ node: 'alice', evidence }, { signal });
  t.deepEqual(await ask(keysend(2)), notApproved);
});
