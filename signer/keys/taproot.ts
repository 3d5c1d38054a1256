/** BIP 341's tweak of a secret: what signs for an output key (`bitcoin/psbt_sign.ts`), and gives it its point. */

import { Secret } from '../../proto/secret.ts';
import { tapTweak } from '../bitcoin/script.ts';
import type { Secp } from '../crypto/secp.ts';
import type { KeyPair } from './channel_keys.ts';

/** The secret of the output key; without a merkle root as BIP 86 has it. Undefined where there is none. */
export function taprootSecret(secp: Secp, { secret, point }: KeyPair, merkleRoot?: Uint8Array): Secret | undefined {
  using even = point[0] === 2 ? secret.use((bytes) => Secret.copyOf(bytes)) : secp.negateSecret(secret);
  return secp.addToSecret(even, new Secret(tapTweak(point.subarray(1), merkleRoot)));
}
