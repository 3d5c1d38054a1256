/** Attack 9: bytes that are no request; and invoices that are none to be paid. */

import test from 'ava';
import { concat, toHex } from '../../../proto/bytes.ts';
import { calls } from '../../../proto/hsmd/calls.ts';
import { encodeMessage } from '../../../proto/hsmd/message.ts';
import { inEveryWay } from './attack.ts';
import { channeld, hashOf, TestChannel } from './channel.ts';
import { type InvoiceTerms, signedInvoice } from './invoice.ts';
import { nodeKeys, World } from './world.ts';

const payee = nodeKeys(50);
const hash = hashOf('coffee');

inEveryWay(
  'attack 9, an unknown message, a cut one and a huge one: one refusal each, and the next request is served',
  async (t, world, between) => {
    const channel = await TestChannel.open(world);
    channel.setFeerate(1500);
    await between();
    const client = channel.client(channeld);
    const good = encodeMessage(calls.revokeCommitmentTx.request, { commitNum: 0n });
    const { version } = world.store.head;
    const cases: readonly (readonly [string, Uint8Array])[] = [
      ['no bytes', new Uint8Array()],
      ['one byte', Uint8Array.of(0)],
      ['an unknown type', Uint8Array.of(0x7f, 0xff, 1, 2, 3)],
      ['a reply', Uint8Array.of(0, 112, ...new Uint8Array(65))],
      ['a cut request', good.subarray(0, -1)],
      ['a huge one', concat(Uint8Array.of(0, 19), new Uint8Array(40_000_000).fill(0xff))],
      ['a length beyond its end', Uint8Array.of(0, 19, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3)],
    ];
    for (const [what, bytes] of cases) {
      const answer = await world.handle(client, bytes);
      t.is(answer.kind, 'malformed', what);
      await t.notThrowsAsync(world.ask(client, 'getPerCommitmentPoint', { n: 0n }), `after ${what}`);
    }
    t.is(world.store.head.version, version);
    await between();
    await channel.commit();
  },
);

test('attack 9, every cut of a real request is one refusal, and moves nothing', async (t) => {
  const world = await World.open();
  const channel = new TestChannel(world);
  await channel.announce();
  await channel.sayWhatItIs();
  const { version } = world.store.head;
  const whole = encodeMessage(calls.setupChannel.request, channel.setup);
  for (let length = 0; length < whole.length; length++)
    t.is((await world.handle(channel.client(24n), whole.subarray(0, length))).kind, 'malformed', `${length} bytes`);
  t.is(world.store.head.version, version);
  await channel.signTheirs();
});

test('attack 9, a client without the capability gets nothing', async (t) => {
  const world = await World.open();
  const channel = await TestChannel.open(world);
  const refusedFor = async (capabilities: bigint) =>
    (
      await world.handle(
        channel.client(capabilities),
        encodeMessage(calls.revokeCommitmentTx.request, { commitNum: 0n }),
      )
    ).kind;
  for (const capabilities of [0n, 1n, 2n, 4n, 8n, 32n, 64n, 128n, 256n, 1024n])
    t.is(await refusedFor(capabilities), 'malformed');
});

const coffee = (world: World, more: Partial<InvoiceTerms> = {}): string =>
  signedInvoice(payee, { micro: 1000, hash, description: 'coffee', createdAt: world.now / 1000, ...more });

test('policy-invoice-not-expired: an invoice that expired is not preapproved, whoever says yes', async (t) => {
  const world = await World.open();
  world.answer = () => true;
  const now = world.now / 1000;
  t.false(await world.preapproveInvoice(coffee(world, { createdAt: now - 3601 })));
  t.true(await world.preapproveInvoice(coffee(world, { createdAt: now - 3599 })));
});

test('policy-invoice-amount: an invoice with a broken checksum, of another network, or signed by nobody is not preapproved', async (t) => {
  const world = await World.open();
  world.answer = () => true;
  const good = coffee(world);
  t.false(await world.preapproveInvoice(`${good.slice(0, -1)}${good.endsWith('q') ? 'p' : 'q'}`));
  t.false(await world.preapproveInvoice(good.replace('lnbcrt', 'lnbc')));
  t.false(await world.preapproveInvoice(''));
  t.true(await world.preapproveInvoice(good));
});

test('policy-commitment-payment-approved: an allowlisted node’s invoice is paid, another’s is not', async (t) => {
  const world = await World.open({ settings: { allowedNodes: new Set([toHex(payee.node.point)]) } });
  t.true(await world.preapproveInvoice(coffee(world)));
  const tea = { micro: 1000, hash: hashOf('tea'), description: 'tea', createdAt: world.now / 1000 };
  t.false(await world.preapproveInvoice(signedInvoice(nodeKeys(51), tea)));
});
