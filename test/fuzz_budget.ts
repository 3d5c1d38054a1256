/**
 * How long the tests run that try what is drawn at random, and what it is drawn from: `KEYHOLD_FUZZ_SECONDS` gives each of
 * them more time, `KEYHOLD_FUZZ_SEED` repeats a run.
 */

const { KEYHOLD_FUZZ_SECONDS = '2', KEYHOLD_FUZZ_SEED = `${Date.now() % 2 ** 31}` } = process.env;

export const milliseconds = Number(KEYHOLD_FUZZ_SECONDS) * 1000;
export const seed = Number(KEYHOLD_FUZZ_SEED);

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
