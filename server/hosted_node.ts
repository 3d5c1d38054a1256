import type { Entropy } from '../proto/entropy.ts';
import type { Log } from '../proto/log.ts';
import type { Relay } from './relay.ts';
import { Run } from './run.ts';
import type { ShimConnection } from './shim/connection.ts';

export interface HostedNodeOptions {
  readonly name: string;
  readonly relay: Relay;
  readonly entropy: Entropy;
  readonly log: Log;
}

/** One node of this host: the relay to its signers, and the shim of its lightningd while that runs. */
export class HostedNode {
  readonly name: string;
  readonly relay: Relay;
  readonly #entropy: Entropy;
  readonly #log: Log;
  #attached: { readonly shim: ShimConnection; readonly run: Run } | undefined;

  constructor({ name, relay, entropy, log }: HostedNodeOptions) {
    this.name = name;
    this.relay = relay;
    this.#entropy = entropy;
    this.#log = log;
  }

  /** The shim attached now and its conns. */
  get attached(): { readonly shim: ShimConnection; readonly run: Run } | undefined {
    return this.#attached;
  }

  /**
   * Serves a shim until it is gone. A second one, while the first is there, is turned away: two lightningds with the
   * same keys must not run.
   */
  async serve(shim: ShimConnection): Promise<void> {
    if (this.#attached !== undefined) {
      this.#log('error', 'a second shim of this node was turned away', { node: this.name });
      await shim[Symbol.asyncDispose]();
      return;
    }
    const { lightningd, developer } = shim.hello;
    this.#log('info', 'shim attached', { lightningd, developer, clients: shim.hello.clients.length });
    const run = new Run({ shim, relay: this.relay, entropy: this.#entropy, log: this.#log });
    this.#attached = { shim, run };
    try {
      await run.serve();
    } finally {
      this.#attached = undefined;
      this.#log('info', 'shim detached');
      await shim[Symbol.asyncDispose]();
    }
  }
}
