/**
 * The form of an attack: an honest beginning that is accepted, a hostile step that one rule refuses, and the honest way
 * on, which is accepted with and without the hostile step before it. Each runs again with the signer restarted in between.
 */

import test, { type ExecutionContext } from 'ava';
import type { Tag } from '../../../signer/policy/rules.ts';
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

async function play<C>(
  t: ExecutionContext,
  tag: Tag,
  { options = {}, prefix, hostile, honest }: Attack<C>,
  between: (world: World) => Promise<void>,
): Promise<void> {
  const world = await World.open(options);
  const context = await prefix(world);
  await between(world);
  await refused(t, tag, hostile(context, world));
  await between(world);
  await t.notThrowsAsync(honest(context, world), 'the honest way on, after the attack');
  const innocent = await World.open(options);
  await t.notThrowsAsync(honest(await prefix(innocent), innocent), 'the honest way on, without the attack');
}

/** Registers the attack's tests; the title begins with the rule that ends it. */
export function attack<C>(
  title: string,
  tag: Tag,
  parts: Attack<C>,
  register: (title: string, body: (t: ExecutionContext) => Promise<void>) => void = test,
): void {
  register(`${tag}: ${title}`, (t) => play(t, tag, parts, () => Promise.resolve()));
  register(`${tag}: ${title}, across restarts`, (t) => play(t, tag, parts, (world) => world.restart()));
}
