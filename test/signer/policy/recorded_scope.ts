/**
 * A recorded request, judged with the state that all requests before it made: as it came, or with something changed in
 * it, in the settings, in the owner's mind or in the state.
 */

import { loadRecordings, type RecordedSession } from '../../../cli/recordings.ts';
import type { ClientIdentity } from '../../../proto/answer.ts';
import { txid } from '../../../proto/bitcoin/tx.ts';
import { toHex } from '../../../proto/bytes.ts';
import type { Call, Request, RequestOf } from '../../../proto/hsmd/calls.ts';
import { trustPoints } from '../../../proto/hsmd/codec.ts';
import { decodeRequest } from '../../../proto/hsmd/message.ts';
import type { ChainView } from '../../../signer/chain/view.ts';
import type { Context } from '../../../signer/context.ts';
import { tiny } from '../../../signer/crypto/tiny.ts';
import { openHsmSecret } from '../../../signer/keys/hsm_secret.ts';
import { NodeKeys } from '../../../signer/keys/node_keys.ts';
import { checks } from '../../../signer/policy/checks.ts';
import type { Purpose } from '../../../signer/policy/purpose.ts';
import { type Check, type Scope, takeBroken, type Verdict } from '../../../signer/policy/scope.ts';
import { profiles, type Settings } from '../../../signer/policy/settings.ts';
import type { ChannelState } from '../../../signer/state/channel_state.ts';
import { SignerState } from '../../../signer/state/state.ts';

/** Nothing here is secret, so nothing needs blinding. */
export const secp = tiny((length) => new Uint8Array(length).fill(1));
/** Before any recorded invoice expired. */
const now = 1_600_000_000;

export interface Under {
  readonly settings?: Partial<Settings>;
  /** What the owner says; yes where it is left out. */
  readonly approves?: (purpose: Purpose) => boolean;
  readonly height?: number;
  /** What a feed proves; none if not given. */
  readonly chain?: ChainView;
  /** Rules that only warned. */
  readonly warnings?: string[];
}

export interface Moment<C extends Call> {
  readonly request: RequestOf<C>;
  readonly client: ClientIdentity;
  readonly keys: NodeKeys;
  readonly state: SignerState;
  /** The chain's genesis hash. */
  readonly chain: Uint8Array;
  /** Judges this request or another one of its kind. @throws Refusal */
  judge(request?: RequestOf<C>, under?: Under, client?: ClientIdentity): Promise<Verdict<Call>>;
  /** Judges what no recording has, at the same moment. */
  judgeOther<D extends Call>(call: D, request: RequestOf<D>, client: ClientIdentity): Promise<Verdict<Call>>;
  /** Changes the channel that the request is about, or else the first. */
  change(by: (channel: ChannelState) => ChannelState): void;
}

const loaded = new Map<string, Promise<readonly RecordedSession[]>>();

function sessionsOf(node: string): Promise<readonly RecordedSession[]> {
  const sessions = loaded.get(node) ?? loadRecordings([`test/vectors/hsmd/traces/${node}.jsonl.gz`]);
  loaded.set(node, sessions);
  return sessions;
}

function scopeOf(
  context: Context,
  state: SignerState,
  chain: Uint8Array,
  { settings, approves = () => true, height, chain: view, warnings = [] }: Under,
): Scope {
  const all = { ...profiles.test, ...settings };
  return {
    context,
    settings: all,
    state,
    now,
    network: { invoicePrefix: 'bcrt', chain },
    height,
    chain: view,
    broken: takeBroken(all, (tag) => warnings.push(tag)),
    note: () => undefined,
    approved: (purpose) => Promise.resolve(approves(purpose)),
    refusedOf: (purposes) => Promise.resolve(purposes.filter((each) => approves(each) === false)),
  };
}

async function judged(scope: Scope, request: Request): Promise<Verdict<Call>> {
  // A request's fields go to the check of the same call; TypeScript cannot follow the pairing through the union.
  const check = checks[request.call] as Check<Call> | undefined;
  return check === undefined ? {} : check(scope, request.fields as RequestOf<Call>);
}

/** The moment before a node's `nth` request of this call, as its signer's state has it by then. */
export async function momentOf<C extends Call>(node: string, call: C, nth = 0): Promise<Moment<C>> {
  const state = new SignerState(new Map());
  let left = nth;
  for (const { requests, secretFile } of await sessionsOf(node)) {
    let keys: NodeKeys | undefined;
    let chain: Uint8Array = new Uint8Array(32);
    for (const { bytes, client } of requests) {
      const request = decodeRequest(bytes, trustPoints);
      if (request.call === 'init') {
        keys = new NodeKeys(secp, await openHsmSecret(secretFile, undefined), undefined);
        chain = request.fields.chainparams;
      }
      if (keys === undefined) continue;
      const context = { secp, keys, client, version: 6, failPreapprove: false };
      if (request.call === call && left-- === 0)
        // The comparison says that these are the fields of `call`; TypeScript does not follow it for a type parameter.
        return moment(context, state, chain, call, request.fields as unknown as RequestOf<C>);
      const { changes } = await judged(scopeOf(context, state, chain, {}), request);
      if (changes !== undefined) state.apply(changes);
    }
  }
  throw new Error(`${node} has no request ${nth} of ${call}`);
}

function moment<C extends Call>(
  context: Context,
  state: SignerState,
  chain: Uint8Array,
  call: C,
  request: RequestOf<C>,
): Moment<C> {
  const { client, keys } = context;
  const about: { readonly peerId?: Uint8Array; readonly dbid?: bigint } = request;
  return {
    request,
    client,
    keys,
    state,
    chain,
    judge: (changed = request, under = {}, as = client) =>
      judged(scopeOf({ ...context, client: as }, state, chain, under), { call, fields: changed } as unknown as Request),
    judgeOther: (other, fields, as) =>
      judged(scopeOf({ ...context, client: as }, state, chain, {}), { call: other, fields } as unknown as Request),
    change(by) {
      const [first] = state.channels.values();
      const channel = state.channel(about.peerId ?? client.nodeId, about.dbid ?? client.dbid) ?? first;
      if (channel === undefined) throw new Error('there is no channel yet');
      state.apply({ channel: by(channel) });
    },
  };
}

/** A request's transaction with another one in both its places; what the PSBT knows stays, as far as it fits. */
export function withTx<T extends RequestOf<'signMutualCloseTx'>['tx']>({ tx, psbt }: T, change: Partial<T['tx']>) {
  const next = { ...tx, ...change };
  return { tx: next, psbt: withPsbtTx(psbt, next) };
}

/** A PSBT of another transaction, with as many maps as that one needs. */
export function withPsbtTx(psbt: RequestOf<'signWithdrawal'>['psbt'], change: Partial<typeof psbt.tx>): typeof psbt {
  const tx = { ...psbt.tx, ...change };
  const nothing = { previousTx: undefined, witnessUtxo: undefined, pairs: [] };
  return {
    ...psbt,
    tx,
    inputs: tx.inputs.map((_, index) => psbt.inputs[index] ?? nothing),
    outputs: tx.outputs.map((_, index) => psbt.outputs[index] ?? []),
  };
}

/** Lets the channels know a changed transaction as the one that funds them, so that something else is found wrong. */
export function follow<C extends Call>(
  { state }: Moment<C>,
  before: RequestOf<'signWithdrawal'>['psbt'],
  after: typeof before,
): typeof before {
  const [from, to] = [toHex(txid(before.tx)), toHex(txid(after.tx))];
  const renamed = (outpoint: string) => outpoint.replace(from, to);
  for (const channel of state.channels.values()) {
    const fundings = channel.fundings.map((each) => ({ ...each, outpoint: renamed(each.outpoint) }));
    const trim = (side: ChannelState['sides']['local']) => ({
      ...side,
      accepted: side.accepted.map((each) => ({
        ...each,
        contents: new Map([...each.contents].map(([outpoint, content]) => [renamed(outpoint), content] as const)),
      })),
    });
    const sides = { local: trim(channel.sides.local), remote: trim(channel.sides.remote) };
    state.apply({ channel: { ...channel, fundings, sides } });
  }
  return after;
}
