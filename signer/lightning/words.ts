/** Five-bit words, as bech32 carries them: invoices are laid out in these, not in bytes. */

/** The number that words stand for, big-endian; exact up to 2^53. */
export function numberOf(words: readonly number[]): number {
  return words.reduce((value, word) => value * 32 + word, 0);
}

/** The whole bytes in the words, at most `length` of them; bits left over are dropped. */
export function bytesOf(words: readonly number[], length = Math.floor((words.length * 5) / 8)): Uint8Array {
  return packed(words).subarray(0, length);
}

/** All bits of the words, with zeros up to the next byte. */
export function packed(words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((words.length * 5) / 8));
  for (const [i, word] of words.entries()) {
    const at = Math.floor((i * 5) / 8);
    const shifted = word << (11 - ((i * 5) % 8));
    bytes[at] = (bytes[at] ?? 0) | (shifted >> 8);
    if ((shifted & 0xff) !== 0) bytes[at + 1] = shifted & 0xff;
  }
  return bytes;
}
