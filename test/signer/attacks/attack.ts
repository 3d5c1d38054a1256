/**
 * The form of an attack: an honest beginning that is accepted, a hostile step that one rule refuses, and the honest way
 * on, which is accepted with and without the hostile step before it. Each runs again with the signer restarted in between,
 * and with the rest of it asked from a second signer.
 */

import test, { type ExecutionContext } from 'ava';
import type { Tag } from '../../../signer/policy/rules.ts';
import { SignersInTurn } from './second_signer.ts';
import { Refused, World, type WorldOptions } from './world.ts';

export interface Attack<C> {
  readonly options?: WorldOptions;
  readonly prefix: (world: World) => Promise<C>;
  readonly hostile: (context: C, world: World) => Promise<unknown>;
  readonly honest: (context: C, world: World) => Promise<unknown>;
}

/** Asserts that the policy says no for this reason. */
export async function refused(
  t: ExecutionContext,
  tag: Tag,
  request: Promise<unknown>,
  message?: string,
): Promise<void> {
  const error = await t.throwsAsync(request, { instanceOf: Refused }, message);
  t.is(error.tag, tag, `${message ?? ''} ${error.message}`);
}

type Play = (t: ExecutionContext, tag: Tag, parts: Attack<unknown>) => Promise<void>;

const alone =
  (between: (world: World) => Promise<void>): Play =>
  async (t, tag, { options = {}, prefix, hostile, honest }) => {
    const world = await World.open(options);
    const context = await prefix(world);
    await between(world);
    await refused(t, tag, hostile(context, world));
    await between(world);
    await t.notThrowsAsync(honest(context, world), 'the honest way on, after the attack');
    const innocent = await World.open(options);
    await t.notThrowsAsync(honest(await prefix(innocent), innocent), 'the honest way on, without the attack');
  };

/** The first signer saw how it began; the second, which has its state from the host's copy, is asked the rest. */
const inTurn: Play = async (t, tag, { options = {}, prefix, hostile, honest }) => {
  const signers = new SignersInTurn();
  const world = await signers.open(options);
  const context = await prefix(world);
  const first = await signers.handOver(world);
  const { version } = world.store.head;
  await refused(t, tag, hostile(context, world));
  await t.notThrowsAsync(honest(context, world), 'the honest way on, with the second signer');
  if (world.store.head.version === version) return;
  await t.throwsAsync(signers.comeBack(world, first), { instanceOf: Refused, message: /put back to an earlier one/ });
};

/** How an attack is tried, by what its title ends in. */
const plays = {
  '': alone(() => Promise.resolve()),
  ', across restarts': alone((world) => world.restart()),
  ', with a second signer': inTurn,
} as const satisfies { readonly [suffix: string]: Play };

/** Registers the attack's tests; the title begins with the rule that ends it. */
export function attack<C>(
  title: string,
  tag: Tag,
  parts: Attack<C>,
  register: (title: string, body: (t: ExecutionContext) => Promise<void>) => void = test,
): void {
  // What the beginning gives is what the other steps take.
  for (const [suffix, play] of Object.entries(plays))
    register(`${tag}: ${title}${suffix}`, (t) => play(t, tag, parts as Attack<unknown>));
}

/** Registers a test that no single rule ends, in the same ways: `between` is where the signer restarts or changes. */
export function inEveryWay(
  title: string,
  body: (t: ExecutionContext, world: World, between: () => Promise<void>) => Promise<void>,
): void {
  test(title, async (t) => body(t, await World.open(), async () => {}));
  test(`${title}, across restarts`, async (t) => {
    const world = await World.open();
    await body(t, world, () => world.restart());
  });
  test(`${title}, with a second signer`, async (t) => {
    const signers = new SignersInTurn();
    const world = await signers.open({});
    await body(t, world, async () => void (await signers.handOver(world)));
  });
}
