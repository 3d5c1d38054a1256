/** A policy as every program here opens it: the owner's file, the state in its folder, and whoever may say yes. */

import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../proto/clock.ts';
import type { Entropy } from '../proto/entropy.ts';
import { type Call, hsmdName } from '../proto/hsmd/calls.ts';
import type { Log } from '../proto/log.ts';
import { type Network, networks } from '../signer/chain/networks.ts';
import type { Companion } from '../signer/companion.ts';
import type { Secp } from '../signer/crypto/secp.ts';
import type { NodeKeys } from '../signer/keys/node_keys.ts';
import { type LinkedParts, type LinkedPolicyOptions, linkedParts, reportOnly } from '../signer/linked_policy.ts';
import { openFileStore } from '../signer/node/file_store.ts';
import { byNetwork } from '../signer/policy/by_network.ts';
import { Desk } from '../signer/policy/desk.ts';
import { localLimits, localOwner } from '../signer/policy/local_owner.ts';
import { noPolicy, type Policy } from '../signer/policy/policy.ts';
import { emptyFile, type PolicyFile, profileFor, readPolicyFile, settingsFor } from '../signer/policy/policy_file.ts';
import { PolicyFileError } from '../signer/policy/policy_file_error.ts';
import { firstOf } from '../signer/policy/purpose.ts';
import { validating } from '../signer/policy/validating.ts';
import { weakened } from '../signer/policy/weakened.ts';
import { Refusal } from '../signer/refusal.ts';
import { recoveryCommand, type Store, type WhenMissing } from '../signer/store/store.ts';
import { answerOwner, type Owned } from './approver_requests.ts';
import { listenForOwner } from './approver_socket.ts';
import { UsageError } from './command.ts';

export const policyOption = {
  value: 'FILE|none',
  means: 'the policy file; none signs whatever is asked (default: the strict policy of the network)',
};

/** Reads a policy file; `none` is the one that is no file. @throws UsageError */
export async function readPolicy(path: string | undefined, secp: Secp): Promise<PolicyFile> {
  if (path === undefined) return emptyFile;
  if (path === 'none') return { ...emptyFile, policy: 'none' };
  try {
    const file = readPolicyFile(await readFile(path, 'utf8'));
    checkForAnyNetwork(file, secp);
    return file;
  } catch (error: unknown) {
    if (error instanceof PolicyFileError) throw new UsageError(`${path}: ${error.message}`);
    if (error instanceof Error && 'code' in error)
      throw new UsageError(`cannot read the policy file: ${error.message}`);
    throw error;
  }
}

/** Which network it is for is known only when lightningd says so: it must make sense on one. */
function checkForAnyNetwork(file: PolicyFile, secp: Secp): void {
  let first: unknown;
  for (const network of networks) {
    try {
      settingsFor(file, network, secp);
      return;
    } catch (error: unknown) {
      first ??= error;
    }
  }
  throw first;
}

export interface PolicyParts {
  readonly file: PolicyFile;
  /** The folder of the signer's state. */
  readonly folder: string;
  /** Whether to begin with an empty state where there is none: for a node without channels. */
  readonly begin: boolean;
  /** Where whoever calls lightningd is the owner, payments and spends need no other word. */
  readonly owner: 'local' | 'remote';
  /** For a signer on a link to a host, which keeps a copy of the state and may tell of the chain. */
  readonly link?: Pick<LinkedPolicyOptions, 'chainRequired'>;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly secp: Secp;
}

export interface OpenPolicy extends AsyncDisposable {
  readonly policy: Policy;
  /** Where the owner's word is heard; undefined where none is needed. */
  readonly owned: Owned | undefined;
  /** What else is to travel on the link. */
  readonly companions: readonly Companion[];
}

export const withoutPolicy =
  'policy = none: this signer signs whatever it is asked; whoever controls lightningd can take everything';
const staleMark = 'signed-without-policy';

export const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** Opens the state, listens for the owner, and begins to judge with the first `init`. @throws UsageError, StoreError */
export async function openPolicy(parts: PolicyParts): Promise<OpenPolicy> {
  const { file, folder, clock, log } = parts;
  if (file.policy === 'none') {
    log('warn', withoutPolicy);
    // What is signed now the state does not know: it must not be trusted later.
    if (await exists(join(folder, 'store'))) await writeFile(join(folder, staleMark), '', { flag: 'a' });
    const companions = [reportOnly(noPolicy, log)];
    return { policy: noPolicy, owned: undefined, companions, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const state = await openState(parts);
  try {
    const desk = new Desk();
    let network: Network | undefined;
    const owned: Owned = { desk, now: () => Math.floor(clock.now() / 1000), network: () => network };
    const socket = await listenForOwner(join(folder, 'owner.sock'), (request) => answerOwner(owned, request));
    const policy = byNetwork((now) => {
      network = now;
      return judge(parts, now, state, desk);
    });
    const noted = noting(policy, owned);
    return {
      policy: state.link?.link(noted) ?? noted,
      owned,
      companions: state.link?.companions ?? [],
      async [Symbol.asyncDispose]() {
        await socket[Symbol.asyncDispose]();
        await state[Symbol.asyncDispose]();
      },
    };
  } catch (error: unknown) {
    await state[Symbol.asyncDispose]();
    throw error;
  }
}

/** The state's own folder in a signer's. */
export const storeIn = (folder: string) => join(folder, 'store');

interface OpenState extends AsyncDisposable {
  readonly open: (keys: NodeKeys) => Promise<Store>;
  readonly link: LinkedParts | undefined;
}

/** Opens the state; one that is begun on a link only with the first `init`, when it is known what the host has of it. */
async function openState({ folder, begin, log, entropy, clock, link: linkOptions }: PolicyParts): Promise<OpenState> {
  if (await exists(join(folder, staleMark)))
    throw new UsageError(
      `the state in ${folder} is out of date: this node was signed for without a policy since. Go on with policy none; or close all channels, move that folder away and begin a new state`,
    );
  const place = storeIn(folder);
  const isThere = await exists(join(place, 'state.log'));
  if (!begin && !isThere)
    throw new UsageError(
      `no signer state in ${folder}. For a node that has no channels begin one: --new-state, or KEYHOLD_NEW_STATE=1 for the inline signer. For one that has, its state must be there: without it the signer cannot tell what is safe to sign. If it was lost, ${recoveryCommand} takes the host's copy; an inline signer has no such copy, and goes on from a backup that is as new as lightningd's database, or without validation, KEYHOLD_POLICY=none`,
    );
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const open = (whenMissing: WhenMissing) => openFileStore({ folder: place, whenMissing, log, entropy });
  const link = linkOptions && linkedParts({ ...linkOptions, clock, entropy, log, newState: begin });
  const store = isThere || link === undefined ? await open(begin ? 'create' : 'fail') : undefined;
  return {
    open: (keys) => openOnLink(link, keys, store === undefined ? open : () => Promise.resolve(store)),
    link,
    async [Symbol.asyncDispose]() {
      await link?.[Symbol.asyncDispose]();
      await store?.[Symbol.asyncDispose]();
    },
  };
}

function openOnLink(
  link: LinkedParts | undefined,
  keys: NodeKeys,
  open: (whenMissing: WhenMissing) => Promise<Store>,
): Promise<Store> {
  return link === undefined ? open('fail') : link.copy.open(keys, open);
}

/** The policy of one network, with its settings said aloud. */
function judge({ file, owner, clock, log, secp }: PolicyParts, network: Network, state: OpenState, desk: Desk): Policy {
  const settings = settingsFor(file, network, secp);
  const profile = profileFor(file, network);
  log('info', 'policy', {
    network: network.name,
    profile,
    approves: owner === 'local' ? 'whoever calls lightningd' : 'the owner',
  });
  if (owner === 'local')
    for (const limit of localLimits(settings)) log('warn', 'limits for whoever calls lightningd', { limit });
  const weak = weakened(file, settings, network, owner);
  for (const message of weak) log('warn', 'the policy is weakened', { by: message });
  state.link?.weakened(weak);
  return validating({
    settings,
    approver: owner === 'local' ? firstOf(localOwner(settings), desk) : desk,
    openStore: (keys) => state.open(keys),
    clock,
    log,
    height: () => state.link?.chain.height(),
    chain: state.link?.chain,
    noted: (refusal, call) => note({ desk, now: () => Math.floor(clock.now() / 1000) }, refusal, call),
  });
}

function note({ desk, now }: Pick<Owned, 'desk' | 'now'>, { tag, message }: Refusal, call: Call): void {
  desk.note({ tag, message, call: hsmdName(call) }, now());
}

/** Lets the owner read what was refused. */
function noting(policy: Policy, owned: Owned): Policy {
  return {
    name: policy.name,
    start: (init, preinit, started) => policy.start(init, preinit, started),
    show: (request) => policy.show(request),
    channels: () => policy.channels?.(),
    async decide(context, request, sign) {
      try {
        return await policy.decide(context, request, sign);
      } catch (error: unknown) {
        if (error instanceof Refusal) note(owned, error, request.call);
        throw error;
      }
    },
  };
}
