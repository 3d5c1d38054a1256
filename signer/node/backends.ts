/** Which secp256k1 a signer under Node works with: the native addon where it is installed, WASM where not. */

import type { Entropy } from '../../proto/entropy.ts';
import { rememberingPoints } from '../crypto/known_points.ts';
import { noble } from '../crypto/noble.ts';
import type { Secp } from '../crypto/secp.ts';
import { tiny } from '../crypto/tiny.ts';
import { native } from './native.ts';

export const backends: { readonly [name: string]: (entropy: Entropy) => Secp | undefined } = {
  native,
  tiny,
  noble: () => noble,
};

/** The backend of that name, or the fastest there is. @throws Error where it is not installed or unknown */
export function backend(name: string | undefined, entropy: Entropy): Secp {
  const secp = name === undefined ? (native(entropy) ?? tiny(entropy)) : backends[name]?.(entropy);
  if (secp === undefined)
    throw new Error(`secp256k1 backend ${name}: expected one of ${Object.keys(backends).join(', ')} that is installed`);
  return rememberingPoints(secp);
}
