/** The signer's one entrance: what one start of lightningd asks for does not outlive it. */

import test from 'ava';
import { calls } from '../../proto/hsmd/calls.ts';
import { decodeMessage, encodeMessage } from '../../proto/hsmd/message.ts';
import { Secret } from '../../proto/secret.ts';
import { Signer } from '../../signer/dispatch.ts';
import { noPolicy } from '../../signer/policy/policy.ts';
import { initRequest, lightningd, secp } from './attacks/world.ts';

const keysend = encodeMessage(calls.preapproveKeysend.request, {
  destination: new Uint8Array(33).fill(2),
  paymentHash: new Uint8Array(32),
  amountMsat: 1n,
});

test('a developer’s flag of one start is not there at the next', async (t) => {
  const open = () => Promise.resolve({ type: 0, seed: new Secret(new Uint8Array(32).fill(1)) } as const);
  const signer = new Signer({ secp, secret: { open }, policy: noPolicy });
  const ask = async (bytes: Uint8Array) => signer.handle(lightningd, bytes);
  const init = encodeMessage(calls.init.request, initRequest);
  const approved = async () => {
    const answer = await ask(keysend);
    if (answer.kind !== 'reply') throw new Error(answer.kind);
    return decodeMessage(calls.preapproveKeysend.reply, answer.bytes).approved;
  };
  await ask(encodeMessage(calls.devPreinit.request, { tlvs: { failPreapprove: true } }));
  await ask(init);
  t.false(await approved());
  await ask(init);
  t.true(await approved());
});
