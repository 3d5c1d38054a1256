/** A policy on a link: opened with the keys, fed by the host, and silent once its state is not the newest. */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { sha256 } from '@noble/hashes/sha2.js';
import test from 'ava';
import { systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import {
  FromSignerSchema,
  type HeldStateSchema,
  type Report,
  WelcomeSchema,
} from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { trustPoints } from '../../proto/hsmd/codec.ts';
import { decodeMessage, decodeRequest } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { parseHeader } from '../../signer/chain/header.ts';
import { type LinkedParts, linkedParts } from '../../signer/linked_policy.ts';
import { noPolicy, type Policy } from '../../signer/policy/policy.ts';
import { Refusal } from '../../signer/refusal.ts';
import { GroupCommit } from '../../signer/store/group_commit.ts';
import { type Memory, openMemoryStore } from '../../signer/store/memory.ts';
import { State } from '../../signer/store/state.ts';
import { emptySnapshot, StoreError, type WhenMissing } from '../../signer/store/store.ts';
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
function linked(
  memory: Memory,
  newState: boolean,
  open = (whenMissing: WhenMissing) => openMemoryStore(memory, whenMissing),
  refusal?: Refusal,
) {
  const options = { clock: systemClock, entropy: systemEntropy, log: silent, newState, chainRequired: false };
  const parts = linkedParts(options);
  let isOpen = false;
  const opening: Policy = {
    ...noPolicy,
    async start() {
      if (isOpen) return;
      isOpen = true;
      await parts.copy.open(keys, (whenMissing) => Promise.resolve(open(whenMissing)));
      if (refusal !== undefined) throw refusal;
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
  const waits = 'a refusal would end channels that the other signer serves well';
  await t.throwsAsync(standby.decide(), { instanceOf: StoreError, message: /keyhold signer recover/ }, waits);
  await t.throwsAsync(standby.start(), { instanceOf: StoreError, message: /keyhold signer recover/ });
  t.deepEqual(await active.decide(), Uint8Array.of(1));
  for (const { parts } of [active, standby]) await parts[Symbol.asyncDispose]();
});

/** The reports on a link, in their order; `state` is what the host says of its copy. */
function reports({ companions }: LinkedParts, state: MessageInitShape<typeof HeldStateSchema> | undefined) {
  const sent: Report[] = [];
  const welcome = create(WelcomeSchema, { active: true, ...(state && { state }) });
  for (const companion of companions)
    companion.attached(welcome, (given) => {
      const { message } = create(FromSignerSchema, { message: given });
      if (message.case === 'report') sent.push(message.value);
    });
  return sent;
}

test('a state that can no longer be written is said to the host, and the signer does not start again with it', async (t) => {
  const noSpace = { persist: () => Promise.reject(new Error('no space left')), close: () => Promise.resolve() };
  const { parts, start } = linked({}, true, () => new GroupCommit(new State(emptySnapshot), noSpace, sha256));
  const sent = reports(parts, {});
  await start();
  t.is(sent.at(-1)?.problem, '');
  await t.throwsAsync(async () => parts.copy.store?.commit([{ key: 'a', value: Uint8Array.of(1) }]), {
    instanceOf: StoreError,
  });
  t.regex(sent.at(-1)?.problem ?? '', /could not be written \(no space left\)/);
  await t.throwsAsync(start(), { instanceOf: StoreError, message: /could not be written/ });
  t.regex(sent.at(-1)?.problem ?? '', /could not be written/);
  await parts[Symbol.asyncDispose]();
});

test('that no copy is kept is said to the host', async (t) => {
  const { parts, start } = linked({}, true);
  parts.weakened(['a setting']);
  const sent = reports(parts, undefined);
  await start();
  t.deepEqual(sent.at(-1)?.weakened, ['a setting', 'this host keeps no copy of the signer’s state']);
  const later = reports(parts, {});
  t.deepEqual(later.at(-1)?.weakened, ['a setting']);
  await parts[Symbol.asyncDispose]();
});

test('a state that the policy finds to be another node’s never reaches the host’s copy', async (t) => {
  await using host = new HostOfCopies(await temporaryDirectory(t));
  const right = linked({}, true);
  const link = await host.attach(right.parts.copy);
  await right.start();
  await right.parts.copy.store?.commit([{ key: 'a', value: Uint8Array.of(1) }]);
  const copy = await host.copy;
  await until(() => copy.version === 1n, 'the copy follows');
  link.cut();
  const others: Memory = {};
  {
    await using store = openMemoryStore(others, 'create');
    // More than anybody remembers: whether the copy is of this state nobody can tell.
    for (let i = 0; i < 1100; i++) await store.commit([{ key: 'b', value: Uint8Array.of(i % 256) }]);
  }
  const wrong = linked(others, false, undefined, new Refusal('policy-init', 'the state of another node'));
  const said = (await host.attach(wrong.parts.copy)).said;
  await t.throwsAsync(wrong.start(), { instanceOf: Refusal });
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.deepEqual(said, []);
  t.is(copy.version, 1n);
  for (const { parts } of [right, wrong]) await parts[Symbol.asyncDispose]();
});

test('what else the policy has goes through', (t) => {
  const { parts } = linked({}, true);
  const policy = parts.link({ ...noPolicy, name: 'validating', approvesPayments: true });
  t.is(policy.name, 'validating');
  t.true(policy.approvesPayments);
  t.is(parts.companions.length, 3);
});
