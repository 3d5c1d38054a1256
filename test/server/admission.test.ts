/** Who gets in: certificates of this authority and of others, of this node and of another, in time and out of it. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { systemEntropy } from '../../proto/entropy.ts';
import { Host as HostService, SignerState } from '../../proto/gen/keyhold/v1/host_pb.ts';
import { SignerLink } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { Channel, type StatusError, type TlsIdentity } from '../../proto/grpc.ts';
import { linkProtocol } from '../../proto/link.ts';
import { Outbox } from '../../proto/outbox.ts';
import { createAuthority, issueSigner, writeKeyFile } from '../../server/certificates.ts';
import type { Host } from '../../server/host.ts';
import { FakeShim } from './fake_shim.ts';
import { Authority, attachSigner, openHost, temporaryDirectory, until } from './host_under_test.ts';
import { channeld, checkFutureSecret, clientHsmfd, signMessage } from './messages.ts';

const test = anyTest as TestFn<{ authority: Authority }>;

test.before(async (t) => {
  t.context.authority = await Authority.create();
});

const day = 24 * 60 * 60 * 1000;

/** Says hello with a certificate; what the host answers first. */
async function knock(host: Host, identity: TlsIdentity): Promise<string> {
  await using channel = new Channel(`127.0.0.1:${host.port}`, identity);
  const hello = { protocol: linkProtocol, session: systemEntropy(16), name: 'test', software: 'test' };
  const outbox = new Outbox<{ message: { case: 'hello'; value: typeof hello } }>();
  outbox.push({ message: { case: 'hello', value: hello } });
  const stop = new AbortController();
  try {
    for await (const { message } of channel.client(SignerLink).attach(outbox, { signal: stop.signal }))
      return message.case ?? 'nothing';
    return 'nothing';
  } catch (error: unknown) {
    return (error as StatusError).code;
  } finally {
    outbox.close();
  }
}

test('a signer’s certificate of this host’s authority is admitted', async (t) => {
  const { authority } = t.context;
  await using host = await openHost(authority, join(await temporaryDirectory(t), 's'));
  t.is(await knock(host, await authority.signer('alice')), 'welcome');
});

test('a certificate of another authority is not admitted', async (t) => {
  const { authority } = t.context;
  await using host = await openHost(authority, join(await temporaryDirectory(t), 's'));
  const other = await Authority.create();
  const { cert, key } = await other.signer('alice');
  t.is(await knock(host, { cert, key, ca: authority.host.ca }), 'UNAVAILABLE');
  t.is(host.node('alice').relay.signers.list().length, 0);
});

test('a signer does not attach to a host of another authority', async (t) => {
  const { authority } = t.context;
  await using host = await openHost(authority, join(await temporaryDirectory(t), 's'));
  const { ca } = (await Authority.create()).host;
  t.is(await knock(host, { ...(await authority.signer('alice')), ca }), 'UNAVAILABLE');
});

test('an expired certificate and one that is not valid yet are not admitted', async (t) => {
  const { authority } = t.context;
  await using host = await openHost(authority, join(await temporaryDirectory(t), 's'));
  for (const from of [Date.now() - 2 * day, Date.now() + day])
    t.is(await knock(host, await authority.signer('alice', { from: new Date(from), days: 1 })), 'UNAVAILABLE');
});

test('without a certificate nobody is admitted', async (t) => {
  const { authority } = t.context;
  await using host = await openHost(authority, join(await temporaryDirectory(t), 's'));
  const { connect } = await import('node:tls');
  const socket = connect({
    port: host.port,
    host: '127.0.0.1',
    ca: authority.host.ca,
    ALPNProtocols: ['h2'],
    servername: 'localhost',
  });
  const ended = await new Promise<string>((resolve) => {
    socket.on('error', (error) => resolve(error.message));
    socket.on('data', () => resolve('it answered'));
    socket.on('close', () => resolve('closed'));
  });
  socket.destroy();
  t.regex(ended, /certificate required|closed/);
});

test('the host’s own certificate does not make a signer, an operator’s neither', async (t) => {
  const { authority } = t.context;
  await using host = await openHost(authority, join(await temporaryDirectory(t), 's'));
  t.is(await knock(host, authority.host), 'UNAVAILABLE');
  t.is(await knock(host, await authority.operator()), 'PERMISSION_DENIED');
});

test('a signer’s certificate is good for its own node only', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  await using alice = await FakeShim.open(socket, 'alice');
  alice.request(0, signMessage('hello'));
  await using bob = attachSigner({
    port: host.port,
    identity: await authority.signer('bob'),
    handle: () => ({ kind: 'refused', tag: 'policy-test', message: 'not asked' }),
  });
  await until(() => host.node('bob').relay.signers.list().length === 1, 'bob’s signer is attached');
  await until(() => host.node('alice').relay.waiting().length === 1, 'alice’s request waits');
  t.is(bob.handled.length, 0);
});

test('a host that serves certain nodes turns the others away', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket, { nodes: ['alice'] });
  t.is(await knock(host, await authority.signer('alice')), 'welcome');
  t.is(await knock(host, await authority.signer('bob')), 'NOT_FOUND');
  await using shim = await FakeShim.open(socket, 'bob');
  await t.throwsAsync(shim.next(), { message: /ended the connection/ });
});

test('status shows a signer its own node and an operator all of them, from both ends', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  const identity = await authority.signer('alice');
  const never = () => new Promise<never>(() => {});
  await using _phone = attachSigner({ port: host.port, identity, handle: never, name: 'phone' });
  await until(() => host.node('alice').relay.signers.list().length === 1, 'the phone is attached');
  await using _desk = attachSigner({ port: host.port, identity, handle: never, name: 'desk' });
  await until(() => (host.node('alice').relay.signers.list()[1]?.port.roundTripUs ?? 0) > 0, 'the desk is measured');
  await using shim = await FakeShim.open(socket, 'alice');
  shim.request(await shim.newClient(clientHsmfd(channeld(5n))), checkFutureSecret(1));
  await until(() => host.node('alice').relay.waiting().length === 1, 'a request waits');
  host.node('bob');

  await using channel = new Channel(`127.0.0.1:${host.port}`, identity);
  const { signal } = new AbortController();
  const status = channel.client(HostService).status;
  const { nodes, boot } = await status({}, { signal });
  t.deepEqual(boot, host.boot);
  t.is(nodes.length, 1);
  t.like(nodes[0], {
    name: 'alice',
    shim: { developer: false, lightningdVersion: 'v26.06.6' },
    waiting: [{ call: 'check_future_secret', dbid: 5n, offered: true }],
    counts: { local: 1n, replied: 0n },
  });
  t.deepEqual(
    nodes[0]?.shim?.connections.map(({ number, dbid }) => [number, dbid]),
    [
      [0, 0n],
      [1, 5n],
    ],
  );
  t.deepEqual(
    nodes[0]?.signers.map(({ name, state }) => [name, state]),
    [
      ['phone', SignerState.ACTIVE],
      ['desk', SignerState.STANDBY],
    ],
  );
  await t.throwsAsync(status({ node: 'bob' }, { signal }), { message: /for the node alice, not for bob/ });

  await using operating = new Channel(`127.0.0.1:${host.port}`, await authority.operator());
  const all = await operating.client(HostService).status({}, { signal });
  t.deepEqual(all.nodes.map(({ name }) => name).sort(), ['alice', 'bob']);
  await t.throwsAsync(operating.client(HostService).status({ node: 'carol' }, { signal }), {
    message: /has no node carol/,
  });
});

test('sockets for shims and key files are for this user alone', async (t) => {
  const directory = await temporaryDirectory(t);
  const socket = join(directory, 's');
  const { authority } = t.context;
  await using _host = await openHost(authority, socket);
  t.is((await stat(socket)).mode & 0o777, 0o600);
  const path = join(directory, 'key.pem');
  await writeKeyFile(path, authority.host.key);
  t.is((await stat(path)).mode & 0o777, 0o600);
  await t.throwsAsync(writeKeyFile(path, 'other'), { code: 'EEXIST' });
});

test('a host takes over the socket of a killed one, but not that of a running one', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using _host = await openHost(authority, socket);
  await t.throwsAsync(openHost(authority, socket), { message: /another host listens/ });
});

test('the same clock and other randomness make another certificate', async (t) => {
  const validity = { from: new Date('2026-01-01T00:00:00Z'), days: 365 };
  const authority = await createAuthority(validity, systemEntropy);
  const { X509Certificate } = await import('node:crypto');
  const one = new X509Certificate((await issueSigner(authority, 'alice', validity, systemEntropy)).cert);
  const two = new X509Certificate((await issueSigner(authority, 'alice', validity, systemEntropy)).cert);
  t.not(one.serialNumber, two.serialNumber);
  t.is(new Date(one.validFrom).toISOString(), '2026-01-01T00:00:00.000Z');
  t.is(new Date(one.validTo).toISOString(), '2027-01-01T00:00:00.000Z');
  t.false(one.ca);
  t.deepEqual(one.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  t.is(one.subject, 'CN=keyhold signer alice');
  t.true(one.verify(new X509Certificate(authority.cert).publicKey));
  t.throws(() => issueSigner(authority, 'a/b', validity, systemEntropy), { message: /node's name/ });
});
