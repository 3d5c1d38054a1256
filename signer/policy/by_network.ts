/** Settings depend on the network, and lightningd says only in `init` which one it is on: the policy is made then. */

import { type Network, networkOfChain } from '../chain/networks.ts';
import { Refusal } from '../refusal.ts';
import type { Policy } from './policy.ts';
import { PolicyFileError } from './policy_file_error.ts';

/** A policy that is made when `init` says which network it is for. */
export function byNetwork(make: (network: Network) => Policy): Policy {
  const made = new Map<string, Policy>();
  let current: Policy | undefined;
  return {
    name: 'validating',
    async start(init, preinit, started) {
      const network = networkOfChain(init.chainparams);
      if (network === undefined) throw new Refusal('policy-init', 'expected a network this signer knows');
      const policy = made.get(network.name) ?? makeOrRefuse(make, network);
      made.set(network.name, policy);
      await policy.start(init, preinit, started);
      current = policy;
    },
    decide(context, request, sign) {
      if (current === undefined) throw new Refusal('policy-init', 'expected init before anything else');
      return current.decide(context, request, sign);
    },
    channels: () => current?.channels?.(),
    show: (request) => current?.show(request) ?? Promise.resolve(),
  };
}

function makeOrRefuse(make: (network: Network) => Policy, network: Network): Policy {
  try {
    return make(network);
  } catch (error: unknown) {
    if (error instanceof PolicyFileError) throw new Refusal('policy-init', `the policy file: ${error.message}`);
    throw error;
  }
}
