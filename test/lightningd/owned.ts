/**
 * `npm run test:lightningd -- owned [WORD…]`: real lightningds, one of them with the policy that signers have by default.
 * Everything that asks for the owner's word is refused first, costs no channel, and passes once it is approved.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { everyday } from './owned_everyday.ts';
import { fundings } from './owned_fundings.ts';
import { onchain } from './owned_onchain.ts';
import { payments } from './owned_payments.ts';
import { openWorld, type Stories } from './owned_world.ts';

type Story = Stories[string];

const stories: Stories = { ...payments, ...everyday, ...fundings, ...onchain };

/** Plays all of them, or those whose names have one of the words; resolves to how many failed. */
export async function playStories(words: readonly string[]): Promise<number> {
  const chosen = Object.entries(stories).filter(
    ([name]) => words.length === 0 || words.some((word) => name.includes(word)),
  );
  let failed = 0;
  for (const [name, story] of chosen) {
    const folder = await mkdtemp(join(tmpdir(), 'kh-'));
    const began = performance.now();
    const problem = await playOne(folder, story);
    const seconds = Math.round((performance.now() - began) / 1000);
    console.log(`owned, ${name}: ${problem === undefined ? 'ok' : `FAILED: ${problem}`}, ${seconds} s`);
    if (problem === undefined) await rm(folder, { recursive: true, force: true });
    else console.log(`logs and databases of the nodes: ${folder}`);
    if (problem !== undefined) failed += 1;
  }
  console.log(`${chosen.length - failed} passed, ${failed} failed`);
  return failed;
}

/** Resolves to what went wrong. */
async function playOne(folder: string, { options, loses, play }: Story): Promise<string | undefined> {
  try {
    const all = { chain: true, holds: false, ...options };
    await using world = await openWorld(folder, all, new AbortController().signal);
    await play(world);
    const broken = await world.broken(loses);
    return broken.length === 0 ? undefined : `something broke:\n${broken.join('\n')}`;
  } catch (error: unknown) {
    return String(error);
  }
}
