/** The validating policy: opens the state that belongs to these keys, then asks the engine about every request. */

import { equalBytes, toHex } from '../../proto/bytes.ts';
import type { Clock } from '../../proto/clock.ts';
import type { Request, RequestOf } from '../../proto/hsmd/calls.ts';
import type { Log } from '../../proto/log.ts';
import { ClientRequests } from '../approvals/client_requests.ts';
import { networkOfChain } from '../chain/networks.ts';
import type { ChainView } from '../chain/view.ts';
import type { Context } from '../context.ts';
import type { NodeKeys } from '../keys/node_keys.ts';
import type { Facts } from '../lightning/mismatch.ts';
import { Refusal } from '../refusal.ts';
import { decodeState, encodeState } from '../state/encode.ts';
import type { Store } from '../store/store.ts';
import { type EngineParts, PolicyEngine } from './engine.ts';
import type { Policy } from './policy.ts';
import { type Approver, approveAll, firstOf } from './purpose.ts';
import { takeBroken } from './scope.ts';
import type { Settings } from './settings.ts';

export interface ValidatingParts {
  readonly settings: Settings;
  readonly approver: Approver;
  /** Opens the state of the node with these keys; called once. */
  readonly openStore: (keys: NodeKeys) => Promise<Store>;
  readonly clock: Clock;
  readonly log: Log;
  /** The chain's height, where a feed proves one. */
  readonly height: () => number | undefined;
  /** What else a feed proves; undefined where there is no feed. */
  readonly chain?: ChainView | undefined;
  /** Told of refusals that lightningd gets as an answer of its own, without a reason. */
  readonly noted?: EngineParts['noted'];
}

/** What this state was begun for. */
interface Identity {
  readonly nodeId: Uint8Array;
  readonly chain: Uint8Array;
}

/** Only in version 6 does get_per_commitment_point reveal no secret. */
const onlyVersion = 6;

export function validating(parts: ValidatingParts): Policy {
  let engine: PolicyEngine | undefined;
  let store: Store | undefined;
  let clients: ClientRequests | undefined;
  const broken = takeBroken(parts.settings, (tag, message) =>
    parts.log('warn', 'a rule that only warns is broken', { tag, message }),
  );
  const refuse = (facts: Facts) => broken('policy-init', facts);
  return {
    name: 'validating',
    approvesPayments: parts.approver === approveAll,
    channels: () => engine?.channels,
    async start(init, preinit, { keys, version }) {
      const network = networkOfChain(init.chainparams);
      if (network === undefined) throw new Refusal('policy-init', `unknown network ${toHex(init.chainparams)}`);
      if (network.name === 'bitcoin' && forced(init, preinit))
        refuse({ found: 'secrets or behaviour forced by a developer option' });
      if (version !== onlyVersion) refuse({ version, expected: onlyVersion });
      store ??= await parts.openStore(keys);
      await checkIdentity(store, { nodeId: keys.node.point, chain: init.chainparams.slice() }, refuse);
      clients ??= new ClientRequests({ ...parts, nodeId: keys.node.point, runes: keys.runes, network, store });
      engine ??= new PolicyEngine({
        ...parts,
        approver: firstOf(clients, parts.approver),
        store,
        network: { invoicePrefix: network.invoicePrefix, chain: init.chainparams.slice() },
      });
    },
    decide(context: Context, request: Request, sign) {
      if (engine === undefined) throw new Refusal('policy-init', 'expected init before anything else');
      return engine.decide(context, request, sign);
    },
    show: (request) => clients?.show(request) ?? Promise.resolve(),
  };
}

function forced(
  init: RequestOf<'init'>,
  preinit: { readonly failPreapprove: boolean; readonly noPreapproveCheck: boolean },
): boolean {
  const { devForcePrivkey, devForceBip32Seed, devForceChannelSecrets, devForceChannelSecretsShaseed } = init;
  const secrets = [devForcePrivkey, devForceBip32Seed, devForceChannelSecrets, devForceChannelSecretsShaseed];
  return secrets.some((secret) => secret !== undefined) || preinit.failPreapprove || preinit.noPreapproveCheck;
}

/** A state belongs to one node on one chain: the first init says which. */
async function checkIdentity(store: Store, now: Identity, refuse: (facts: Facts) => void): Promise<void> {
  const begun = store.entries.get('identity');
  if (begun === undefined) {
    await store.commit([{ key: 'identity', value: encodeState(now) }]);
    return;
  }
  const { nodeId, chain } = decodeState<Identity>(begun);
  if (!equalBytes(nodeId, now.nodeId)) refuse({ found: 'the state of another node', expected: toHex(nodeId) });
  if (!equalBytes(chain, now.chain)) refuse({ found: 'the state of another network', expected: toHex(chain) });
}
