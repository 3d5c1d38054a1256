/**
 * The one type secret bytes travel in: it prints as `[secret]` wherever a program might print it, its bytes are reached
 * only inside `use`, and `[Symbol.dispose]` fills them with zeros. JavaScript cannot promise that the garbage
 * collector left no copy behind; this keeps ours short-lived and out of every log.
 */
export class Secret {
  readonly #bytes: Uint8Array;

  /** Takes ownership of `bytes`: the caller must not keep them. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** A secret of its own copy of `bytes`, for bytes that belong to somebody else (a frame, a test vector). */
  static copyOf(bytes: Uint8Array): Secret {
    return new Secret(Uint8Array.from(bytes));
  }

  /** Length in bytes; a length is no secret. */
  get length(): number {
    return this.#bytes.length;
  }

  /** Lends the bytes to `fn`, which must not keep them. */
  use<T>(fn: (bytes: Uint8Array) => T): T {
    return fn(this.#bytes);
  }

  /** Compares in a time that does not depend on where the bytes differ. */
  equals(other: Secret): boolean {
    return other.use((theirs) => {
      if (theirs.length !== this.#bytes.length) return false;
      let difference = 0;
      for (let i = 0; i < theirs.length; i++) difference |= (theirs[i] ?? 0) ^ (this.#bytes[i] ?? 0);
      return difference === 0;
    });
  }

  [Symbol.dispose](): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  /** What `console.log` and `util.inspect` show. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}
