/** Our part in a commitment's keys, by secrets, held against the same by public values. */

import { toHex } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';
import type { Secp } from '../../signer/crypto/secp.ts';
import { ChannelKeys } from '../../signer/keys/channel_keys.ts';
import { ownPart } from '../../signer/keys/own_part.ts';
import { publicPart } from '../../signer/lightning/keys.ts';
import { testEach } from './implementations.ts';
import { present } from './lightning/replay.ts';

function keysOf(secp: Secp, seed: number): ChannelKeys {
  return new ChannelKeys(secp, Secret.copyOf(new Uint8Array(32).fill(seed)), undefined);
}

function pointOf(keys: ChannelKeys, n: bigint): Uint8Array {
  return present(keys.perCommitmentPoint(n), 'a point');
}

testEach('our part of a commitment’s keys is the same by secrets as by basepoints', (t, secp) => {
  const [ours, theirs] = [keysOf(secp, 1), keysOf(secp, 2)];
  const [secretly, publicly] = [ownPart(secp, ours), publicPart(secp, ours.basepoints)];
  const { revocation } = theirs.basepoints;
  for (const point of [0n, 1n, 1000n, 1001n].flatMap((n) => [pointOf(ours, n), pointOf(theirs, n)])) {
    t.is(toHex(secretly.delayed(point)), toHex(publicly.delayed(point)));
    t.is(toHex(secretly.htlc(point)), toHex(publicly.htlc(point)));
    t.is(toHex(secretly.basepointTerm(point)), toHex(publicly.basepointTerm(point)));
    t.is(toHex(secretly.pointTerm(point, revocation)), toHex(publicly.pointTerm(point, revocation)));
  }
});

testEach('the secret of a point is known while the point is one of the last', (t, secp) => {
  const keys = keysOf(secp, 3);
  const first = pointOf(keys, 0n);
  t.truthy(keys.secretOfPoint(first));
  for (let n = 1n; n < 9n; n++) pointOf(keys, n);
  const last = pointOf(keys, 8n);
  t.is(toHex(secp.publicKey(present(keys.secretOfPoint(last), 'the secret'))), toHex(last));
  t.is(keys.secretOfPoint(first), undefined);
  t.is(keys.secretOfPoint(keys.basepoints.htlc), undefined);
});
