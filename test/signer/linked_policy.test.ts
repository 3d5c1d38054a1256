/** A policy on a link: opened with the keys, fed by the host, and silent once its state is not the newest. */

import test from 'ava';
import { systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { trustPoints } from '../../proto/hsmd/codec.ts';
import { decodeMessage, decodeRequest } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { parseHeader } from '../../signer/chain/header.ts';
import { linkedParts } from '../../signer/linked_policy.ts';
import { noPolicy, type Policy } from '../../signer/policy/policy.ts';
import { Refusal } from '../../signer/refusal.ts';
import { type Memory, openMemoryStore } from '../../signer/store/memory.ts';
import { StoreError } from '../../signer/store/store.ts';
import { temporaryDirectory, until } from '../server/host_under_test.ts';
import { init, signMessage } from '../server/messages.ts';
import { network } from './chain/mining.ts';
import { copyOf, HostOfCopies, keys } from './store/host_of_copies.ts';

const fields = {
  ...decodeMessage(calls.init.request, init),
  chainparams: parseHeader(network('regtest').genesis).hash,
};
const request = decodeRequest(signMessage('hello'), trustPoints);

/** The parts with a policy that opens its state and signs all; `start` and `decide` as the signer calls them. */
function linked(memory: Memory, newState: boolean) {
  const options = { clock: systemClock, entropy: systemEntropy, log: silent, newState, chainRequired: false };
  const parts = linkedParts(options);
  let isOpen = false;
  const opening: Policy = {
    ...noPolicy,
    async start() {
      if (isOpen) return;
      isOpen = true;
      await parts.copy.open(keys, (whenMissing) => Promise.resolve(openMemoryStore(memory, whenMissing)));
    },
  };
  const policy = parts.link(opening);
  // Neither the context nor the keys are looked at on the way.
  const start = () => policy.start(fields, { failPreapprove: false, noPreapproveCheck: false }, {} as never);
  const decide = async () => policy.decide({} as never, request, () => Uint8Array.of(1));
  return { parts, start, decide };
}

test('a signer whose state falls behind signs nothing from that moment, and does not start again', async (t) => {
  await using host = new HostOfCopies(await temporaryDirectory(t));
  const memory: Memory = {};
  const active = linked(memory, true);
  await host.attach(active.parts.copy);
  await active.start();
  await active.parts.copy.store?.commit([{ key: 'a', value: Uint8Array.of(1) }]);
  const copy = await host.copy;
  await until(() => copy.version === 1n, 'the copy follows');
  const standby = linked(copyOf(memory), false);
  const link = await host.attach(standby.parts.copy, { active: false });
  await standby.start();
  t.deepEqual(await standby.decide(), Uint8Array.of(1));
  await active.parts.copy.store?.commit([{ key: 'a', value: Uint8Array.of(2) }]);
  await until(() => copy.version === 2n, 'the copy moves on');
  link.promote();
  const refusal = await t.throwsAsync(standby.decide(), { instanceOf: Refusal, message: /keyhold signer recover/ });
  t.is(refusal.tag, 'policy-init');
  await t.throwsAsync(standby.start(), { instanceOf: StoreError, message: /keyhold signer recover/ });
  t.deepEqual(await active.decide(), Uint8Array.of(1));
  for (const { parts } of [active, standby]) await parts[Symbol.asyncDispose]();
});

test('what else the policy has goes through', (t) => {
  const { parts } = linked({}, true);
  const policy = parts.link({ ...noPolicy, name: 'validating', approvesPayments: true });
  t.is(policy.name, 'validating');
  t.true(policy.approvesPayments);
  t.is(parts.companions.length, 3);
});
