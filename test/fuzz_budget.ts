/**
 * How long the tests run that try what is drawn at random, and what it is drawn from: `KEYHOLD_FUZZ_SECONDS` gives each of
 * them more time, `KEYHOLD_FUZZ_SEED` repeats a run.
 */

const { KEYHOLD_FUZZ_SECONDS = '2', KEYHOLD_FUZZ_SEED = `${Date.now() % 2 ** 31}` } = process.env;

export const milliseconds = Number(KEYHOLD_FUZZ_SECONDS) * 1000;
export const seed = Number(KEYHOLD_FUZZ_SEED);

/**
 * Plays one history after the other until the time is over, each from numbers of its own; how many, and how many steps they
 * had. What one throws says the seed that begins with it.
 */
export async function playAll(play: (random: (limit: number) => number) => Promise<number>) {
  const end = performance.now() + milliseconds;
  let [histories, steps] = [0, 0];
  do {
    try {
      steps += await play(randomFrom(seed + histories));
    } catch (error: unknown) {
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(`KEYHOLD_FUZZ_SEED=${seed + histories} repeats it: ${why}`, { cause: error });
    }
    histories += 1;
  } while (performance.now() < end);
  return { histories, steps };
}

/** Numbers below `limit`, always the same ones for a seed (Marsaglia's xorshift with 32 bits). */
export function randomFrom(start: number): (limit: number) => number {
  // Seeds in a row shall not begin alike.
  let state = Math.imul(start ^ (start >>> 16), 0x45d9f3b) || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let i = 0; i < 8; i++) next();
  return (limit) => next() % limit;
}
