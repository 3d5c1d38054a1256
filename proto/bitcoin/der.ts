/** Signatures as transactions carry them: DER. */

/** DER of a 64-byte r ‖ s: 8 to 72 bytes. A sighash type's byte follows it wherever Bitcoin has one. */
export function derSignature(signature: Uint8Array): Uint8Array {
  const integers = [...derInteger(signature.subarray(0, 32)), ...derInteger(signature.subarray(32))];
  return Uint8Array.of(0x30, integers.length, ...integers);
}

/** Without zeros in front, but for one where the number would look negative. */
function derInteger(bytes: Uint8Array): readonly number[] {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? [0] : [...bytes.subarray(start)];
  const padded = (digits[0] ?? 0) >= 0x80 ? [0, ...digits] : digits;
  return [0x02, padded.length, ...padded];
}
