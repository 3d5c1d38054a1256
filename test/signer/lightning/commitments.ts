/** The commitments in recorded requests, with what it takes to rebuild them. */

import type { RequestOf } from '../../../proto/hsmd/calls.ts';
import { tiny } from '../../../signer/crypto/tiny.ts';
import type { Side } from '../../../signer/lightning/channel.ts';
import { commitmentKeys } from '../../../signer/lightning/keys.ts';
import type { CommitmentId } from '../../../signer/lightning/outputs.ts';
import { type Commitment, type GivenCommitment, recogniseCommitment } from '../../../signer/lightning/recognise.ts';
import { type ChannelView, fundingAt, present, type Step } from './replay.ts';

/** Nothing here is secret, so nothing needs blinding. */
export const secp = tiny((length) => new Uint8Array(length).fill(1));

export interface RecordedCommitment {
  readonly id: CommitmentId;
  readonly given: GivenCommitment;
  /** The owner's per-commitment point. */
  readonly point: Uint8Array;
}

function idOf(
  view: ChannelView,
  owner: Side,
  number: bigint,
  point: Uint8Array,
  tx: GivenCommitment['tx'],
): CommitmentId {
  const channel = present(view.channel, 'setup_channel');
  const [input] = tx.tx.inputs;
  const funding = fundingAt(view, present(input, 'an input').txid, input?.vout ?? 0);
  return { channel, funding, owner, number, keys: commitmentKeys(secp, channel, owner, point) };
}

function theirs(view: ChannelView, request: RequestOf<'signRemoteCommitmentTx'>): RecordedCommitment {
  const { tx, commitNum, remotePerCommit: point, remoteFundingKey, htlcs, feerate } = request;
  const id = idOf(view, 'remote', commitNum, point, tx);
  return {
    id: { ...id, funding: { ...id.funding, remotePubkey: remoteFundingKey } },
    given: { tx, htlcs, feerate },
    point,
  };
}

function ours(view: ChannelView, request: RequestOf<'validateCommitmentTx'>): RecordedCommitment {
  const { tx, commitNum, htlcs, feerate, sig } = request;
  const point = present(view.points.get(commitNum), `point ${commitNum}`);
  const id = idOf(view, 'local', commitNum, point, tx);
  return { id, given: { tx, htlcs, feerate, signature: sig.signature }, point };
}

/** The commitment of sign_remote_commitment_tx or validate_commitment_tx; undefined for every other request. */
export function commitmentIn({ request, channel }: Step): RecordedCommitment | undefined {
  if (request.call === 'signRemoteCommitmentTx') return theirs(channel, request.fields);
  if (request.call === 'validateCommitmentTx') return ours(channel, request.fields);
  return undefined;
}

/** Recognises what is known to be right. */
export function recognise({ id, given }: RecordedCommitment): Commitment {
  const result = recogniseCommitment(id, given);
  if (result.ok) return result;
  throw new Error(`${result.tag} ${Object.entries(result.facts).join(' ')}`);
}
