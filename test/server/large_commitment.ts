// A commitment with as many HTLCs as one side may offer, on a channel that a recorded node opened.

import { loadRecordings, type RecordedRequest, type RecordedSession } from '../../cli/recordings.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { trustPoints } from '../../proto/hsmd/codec.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import { callOf, decodeMessage, encodeMessage } from '../../proto/hsmd/message.ts';
import { openHsmSecret } from '../../signer/keys/hsm_secret.ts';
import { NodeKeys } from '../../signer/keys/node_keys.ts';
import { channelOf, fundingOf } from '../../signer/lightning/channel.ts';
import { buildCommitment, commitmentPsbt } from '../../signer/lightning/commitment.ts';
import { htlcRequests } from '../../signer/lightning/htlc_tx.ts';
import { commitmentKeys } from '../../signer/lightning/keys.ts';
import { noLease } from '../../signer/lightning/outputs.ts';
import { recogniseCommitment } from '../../signer/lightning/recognise.ts';
import { backend } from '../../signer/node/backends.ts';

export interface LargeCommitment {
  readonly session: RecordedSession;
  /** The recorded requests up to the channel's setup. */
  readonly before: readonly RecordedRequest[];
  readonly client: RecordedRequest['client'];
  /** `sign_remote_commitment_tx`. */
  readonly commitment: Uint8Array;
  /** `sign_remote_htlc_tx` of each HTLC, in order. */
  readonly htlcs: readonly Uint8Array[];
}

function numbered(count: number): readonly Htlc[] {
  return Array.from({ length: count }, (_, i) => {
    const paymentHash = new Uint8Array(32).fill(1);
    new DataView(paymentHash.buffer).setUint32(0, i);
    return { side: 'local', amount: 1_000_000n + BigInt(i) * 1000n, paymentHash, cltvExpiry: 500 + i };
  });
}

export async function largeCommitment(count: number): Promise<LargeCommitment> {
  const secp = backend(undefined, systemEntropy);
  const [session] = await loadRecordings(['test/vectors/hsmd/traces/everyday/l1.jsonl.gz']);
  const at = session?.requests.findIndex(({ bytes }) => callOf(bytes) === 'setupChannel') ?? -1;
  const setup = session?.requests[at];
  if (session === undefined || setup === undefined) throw new Error('no channel was recorded');
  const { nodeId, dbid } = setup.client;
  const client = { nodeId, dbid, capabilities: 447n };
  const keys = new NodeKeys(secp, await openHsmSecret(session.secretFile, undefined), undefined);
  const { basepoints, funding: ours } = keys.channel(nodeId, dbid);
  const terms = decodeMessage(calls.setupChannel.request, setup.bytes, trustPoints);
  const channel = channelOf(terms, basepoints);
  const funding = fundingOf(terms, ours.point);
  const point = terms.remoteBasepoints.revocation;
  const id = {
    channel,
    funding,
    owner: 'remote',
    number: 1n,
    keys: commitmentKeys(secp, channel, 'remote', point),
  } as const;
  const htlcs = numbered(count);
  const content = { toOwner: 100_000n, toOther: 200_000n, htlcs, leaseCsv: noLease };
  const built = buildCommitment(id, content);
  const tx = { tx: built.tx, psbt: commitmentPsbt(id, built, undefined) };
  const ordered = built.outputs.flatMap(({ role }) => (role.kind === 'htlc' ? [role.htlc] : []));
  const commitment = encodeMessage(calls.signRemoteCommitmentTx.request, {
    tx,
    remoteFundingKey: funding.remotePubkey,
    remotePerCommit: point,
    optionStaticRemotekey: true,
    commitNum: 1n,
    htlcs: ordered,
    feerate: 253,
  });
  const recognised = recogniseCommitment(id, { tx, htlcs: ordered, feerate: 253 });
  if (!recognised.ok) throw new Error(`expected a commitment, got ${recognised.tag}`);
  const before = session.requests.slice(0, at + 1);
  return { session, before, client, commitment, htlcs: htlcRequests(recognised, point) };
}
