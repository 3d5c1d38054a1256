/** A policy file that does not say what can be done: where in it, what was expected, what stands there. */
export class PolicyFileError extends Error {
  override readonly name = 'PolicyFileError';
}
