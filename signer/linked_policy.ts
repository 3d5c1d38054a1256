/**
 * A policy on a link to a host: its state has a copy there, news of the chain comes from there, and nothing is signed
 * while the state is not the newest that the host can prove.
 */

import { errorText, type Log } from '../proto/log.ts';
import { AttachReport } from './attach_report.ts';
import { ChainFeed } from './chain/feed.ts';
import { networkOfChain } from './chain/networks.ts';
import type { Companion } from './companion.ts';
import type { Policy } from './policy/policy.ts';
import { inactiveRules } from './policy/report.ts';
import { HostCopy, type HostCopyOptions } from './store/host_copy.ts';
import { StoreError } from './store/store.ts';

export interface LinkedPolicyOptions extends HostCopyOptions {
  /** Whether the rules about the chain are in force without a feed too. */
  readonly chainRequired: boolean;
}

/** What a policy needs of the link, and the link of it. */
export interface LinkedParts extends AsyncDisposable {
  readonly copy: HostCopy;
  readonly chain: ChainFeed;
  /** For the session, in this order. */
  readonly companions: readonly Companion[];
  /** The policy as it is to be given to the signer. */
  link(policy: Policy): Policy;
  /** Where the settings protect less than they should, once they are known: one sentence each. */
  weakened(sentences: readonly string[]): void;
}

export function linkedParts(options: LinkedPolicyOptions): LinkedParts {
  const copy = new HostCopy({ ...options, changed: () => report.refresh() });
  const chain = new ChainFeed({ ...options, required: options.chainRequired });
  let weakened: readonly string[] = [];
  let failed: string | undefined;
  const content = () => ({
    policy: 'validating',
    inactive: inactiveRules(chain),
    weakened: copy.notKept === undefined ? weakened : [...weakened, copy.notKept],
    problem: copy.problem ?? copy.failure ?? failed,
  });
  const report = new AttachReport(content, options.log);
  const started = (problem: string | undefined) => {
    failed = problem;
    report.refresh();
  };
  return {
    copy,
    chain,
    companions: [copy, chain, report],
    weakened(sentences) {
      weakened = sentences;
    },
    link: (policy) => linked(policy, { copy, chain, started }),
    [Symbol.asyncDispose]: () => copy[Symbol.asyncDispose](),
  };
}

/** Only says of a policy without state that there is none. */
export function reportOnly({ name: policy }: Policy, log: Log): Companion {
  return new AttachReport(() => ({ policy, inactive: [], weakened: [], problem: undefined }), log);
}

interface Linked {
  readonly copy: HostCopy;
  readonly chain: ChainFeed;
  /** Told of each start: why it failed, or that it did not. */
  readonly started: (problem: string | undefined) => void;
}

function linked(policy: Policy, { copy, chain, started }: Linked): Policy {
  return {
    ...policy,
    async start(init, preinit, keys) {
      try {
        // No refusal: lightningd would end. It waits, and the owner reads why.
        const unfit = copy.problem ?? copy.failure;
        if (unfit !== undefined) throw new StoreError(unfit);
        await policy.start(init, preinit, keys);
        copy.serve();
      } catch (error: unknown) {
        started(errorText(error));
        throw error;
      }
      const network = networkOfChain(init.chainparams);
      if (copy.store !== undefined && network !== undefined) chain.start(copy.store, network);
      started(undefined);
    },
    decide(context, request, sign) {
      // Nor here: channels would end over it that a signer with the newest state can serve.
      if (copy.problem !== undefined) throw new StoreError(copy.problem);
      return policy.decide(context, request, sign);
    },
  };
}
