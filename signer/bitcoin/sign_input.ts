/** One signature over one segwit input, as Core Lightning makes it (bitcoin/signature.c sign_tx_input). */

import { inputAmount } from '../../proto/bitcoin/psbt_input.ts';
import type { SighashType, TxWithPsbt } from '../../proto/hsmd/fields.ts';
import type { Secret } from '../../proto/secret.ts';
import { BadRequest } from '../context.ts';
import { signLowR } from '../crypto/low_r.ts';
import type { Secp } from '../crypto/secp.ts';
import { segwitSighash } from './sighash.ts';

/** The two sighash types lightningd knows. */
const sighashTypes = { all: 0x01, singleAnyoneCanPay: 0x83 } as const;
export type SighashName = keyof typeof sighashTypes;

export interface TxSignature {
  /** 64 bytes r ‖ s, low R, low S */
  readonly signature: Uint8Array;
  readonly sighash: SighashType;
}

/**
 * Signs input `index` under witness script `script`. The hash is over the transaction, the amount comes from the PSBT.
 * @throws BadRequest where there is no such input, or the PSBT does not know what it spends
 */
export function signInput(
  secp: Secp,
  tx: TxWithPsbt,
  index: number,
  script: Uint8Array,
  key: Secret,
  type: SighashName,
): TxSignature {
  const sighash = sighashTypes[type];
  return { signature: signLowR(secp, digestOf(tx, index, script, sighash), key), sighash };
}

/** What such a signature signs, 32 bytes. */
export function digestOf(
  { tx, psbt }: TxWithPsbt,
  index: number,
  script: Uint8Array,
  sighash: SighashType,
): Uint8Array {
  try {
    return segwitSighash(tx, index, script, inputAmount(psbt, index), sighash);
  } catch (error: unknown) {
    if (error instanceof RangeError) throw new BadRequest(error.message, { cause: error });
    throw error;
  }
}
