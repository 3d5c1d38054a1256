/** Randomness as a parameter: this many bytes that nobody can guess. */
export type Entropy = (length: number) => Uint8Array;

/** The machine's own randomness. */
export const systemEntropy: Entropy = (length) => crypto.getRandomValues(new Uint8Array(length));

/** A number from 0 to below 1. */
export function fraction(entropy: Entropy): number {
  const bytes = entropy(4);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32;
}
