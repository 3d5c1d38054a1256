/** Why a well-formed request gets no signature. Everything a handler or the policy throws ends as one answer in dispatch.ts. */

/** The policy says no; asking again will not help. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly tag: string;

  constructor(tag: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.tag = tag;
  }
}

/** A key device is absent, locked, or its owner declined; `retry` tells whether asking again can help. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
  readonly retry: boolean;

  constructor(message: string, retry: boolean, options?: ErrorOptions) {
    super(message, options);
    this.retry = retry;
  }
}
