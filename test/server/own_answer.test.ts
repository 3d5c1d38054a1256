/** What the host answers without a signer, as hsmd's front does: who may ask what. */

import test from 'ava';
import { calls, lightningdCapabilities } from '../../proto/hsmd/calls.ts';
import { decodeMessage, encodeMessage } from '../../proto/hsmd/message.ts';
import { Secret } from '../../proto/secret.ts';
import { isNodeId, ownAnswer } from '../../server/own_answer.ts';
import { lightningd } from '../../server/relay.ts';
import {
  channeld,
  checkFutureSecret,
  clientHsmfd,
  connectd,
  ecdh,
  init,
  nodeId,
  otherNodeId,
  preinit,
  signMessage,
} from './messages.ts';

test('what a client may ask goes to the signer', (t) => {
  t.is(ownAnswer(connectd, false, ecdh, false), undefined);
  t.is(ownAnswer(channeld(1n), false, checkFutureSecret(1), false), undefined);
  t.is(ownAnswer(lightningd, true, signMessage('hello'), false), undefined);
  t.is(ownAnswer(lightningd, true, init, false), undefined);
  t.is(ownAnswer(lightningd, true, clientHsmfd(connectd), false), undefined);
});

test('what it may not ask is malformed', (t) => {
  t.deepEqual(ownAnswer(connectd, false, checkFutureSecret(1), false), {
    kind: 'malformed',
    message: 'client does not have capability to run 22',
  });
  t.deepEqual(ownAnswer(lightningd, true, checkFutureSecret(1), false), {
    kind: 'malformed',
    message: 'client does not have capability to run 22',
  });
  t.is(ownAnswer(connectd, false, clientHsmfd(connectd), false)?.kind, 'malformed');
});

test('a client with every capability still may not ask what only lightningd may', (t) => {
  const client = { ...connectd, capabilities: lightningdCapabilities };
  for (const request of [init, preinit, clientHsmfd(connectd)])
    t.deepEqual(ownAnswer(client, false, request, true), {
      kind: 'malformed',
      message: 'only lightningd may ask this',
    });
});

test('what is no request is malformed', (t) => {
  for (const bytes of [[], [0], [0, 100], [0, 115], [3, 232], [255, 240]])
    t.is(ownAnswer(lightningd, true, Uint8Array.from(bytes), true)?.kind, 'malformed');
});

test('developer mode’s requests are for developer mode', (t) => {
  const memleak = encodeMessage(calls.devMemleak.request, {});
  t.is(ownAnswer(lightningd, true, memleak, false)?.kind, 'malformed');
  t.is(ownAnswer(lightningd, true, memleak, true), undefined);
  t.is(ownAnswer(lightningd, true, preinit, false)?.kind, 'malformed');
  t.is(ownAnswer(lightningd, true, preinit, true)?.kind, 'silent');
  t.is(ownAnswer(lightningd, true, Uint8Array.of(0, 99, 2, 0), true)?.kind, 'malformed');
});

test('keys may be forced in developer mode only', (t) => {
  const fields = decodeMessage(calls.init.request, init);
  const secret = () => new Secret(new Uint8Array(32));
  const secrets = { funding: secret(), revocation: secret(), payment: secret(), delayed: secret(), htlc: secret() };
  for (const forced of [
    { devForcePrivkey: secret() },
    { devForceBip32Seed: secret() },
    { devForceChannelSecrets: secrets },
    { devForceChannelSecretsShaseed: new Uint8Array(32) },
  ]) {
    const bytes = encodeMessage(calls.init.request, { ...fields, ...forced });
    t.is(ownAnswer(lightningd, true, bytes, false)?.kind, 'malformed');
    t.is(ownAnswer(lightningd, true, bytes, true), undefined);
  }
});

test('a client’s node id is a point on the curve', (t) => {
  t.true(isNodeId(nodeId));
  t.true(isNodeId(otherNodeId));
  for (const wrong of [new Uint8Array(33), nodeId.with(0, 5), nodeId.with(32, 0), nodeId.subarray(1), new Uint8Array()])
    t.false(isNodeId(wrong));
});
