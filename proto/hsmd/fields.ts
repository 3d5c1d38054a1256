/** The types that hsmd's messages are made of (hsmd_wire.csv's type column). */

import { type Psbt, parsePsbt, serializePsbt } from '../bitcoin/psbt.ts';
import { parseTransaction, serializeTransaction, type Transaction } from '../bitcoin/tx.ts';
import { Secret } from '../secret.ts';
import {
  array,
  bool,
  type Codec,
  type CurveCheck,
  fixed,
  inField,
  octets,
  optional,
  type StructOf,
  struct,
  u8,
  u32,
  u64,
  WireError,
} from './codec.ts';

/** 33 bytes, compressed; must be on the curve. */
export const pubkey: Codec<Uint8Array> = {
  shape: { kind: 'point' },
  read(r) {
    const at = r.at;
    const point = r.take(33);
    if (!r.curve.isPoint(point)) throw new WireError('not a point on secp256k1', at);
    return point;
  },
  write: fixed(33).write,
};

/** 33 bytes that hsmd does not check to be a point. */
export const nodeId = fixed(33);
export const sha256 = fixed(32);
/** Internal byte order, as in a transaction. */
export const txid = fixed(32);

/** 32 secret bytes. */
export const secret: Codec<Secret> = {
  shape: { kind: 'secret' },
  read: (r) => Secret.copyOf(r.take(32)),
  write(w, v) {
    v.use((bytes) => fixed(32).write(w, bytes));
  },
};

/** r or s at or above the group's order: libsecp256k1 does not parse it. */
const ORDER = [0xfffffffe, 0xbaaedce6, 0xaf48a03b, 0xbfd25e8c, 0xd0364141] as const;

function overflows(scalar: Uint8Array): boolean {
  const view = new DataView(scalar.buffer, scalar.byteOffset, 32);
  for (let i = 0; i < 3; i++) if (view.getUint32(i * 4) !== 0xffffffff) return false;
  for (const [i, limb] of ORDER.entries()) {
    const word = view.getUint32(12 + i * 4);
    if (word !== limb) return word > limb;
  }
  return true;
}

/** 64 bytes r ‖ s, big-endian, each below the group's order. */
export const ecdsaSignature: Codec<Uint8Array> = {
  shape: { kind: 'ecdsaSignature' },
  read(r) {
    const at = r.at;
    const bytes = r.take(64);
    if (overflows(bytes.subarray(0, 32)) || overflows(bytes.subarray(32)))
      throw new WireError('signature scalar at or above the group order', at);
    return bytes;
  },
  write: fixed(64).write,
};

export type SighashType = 0x01 | 0x83;

/** ALL (1) or SINGLE|ANYONECANPAY (0x83), the two that lightningd knows. */
const sighashType: Codec<SighashType> = {
  shape: { kind: 'sighash' },
  read(r) {
    const value = r.u8();
    if (value !== 0x01 && value !== 0x83) throw new WireError(`unknown sighash type ${value}`, r.at - 1);
    return value;
  },
  write: (w, v) => w.u8(v),
};

/** A signature and its sighash type. */
export const bitcoinSignature = struct({ signature: ecdsaSignature, sighash: sighashType });

/** A compact signature and the recovery id 0 to 3. */
export const recoverableSignature = struct({ signature: ecdsaSignature, recoveryId: u8 });
/** BIP 340, 64 bytes. */
export const bip340Signature = fixed(64);

/** A u32 length and what stands in it, which must fill it exactly. */
function sized<T>(
  kind: 'tx' | 'psbt',
  parse: (bytes: Uint8Array, curve: CurveCheck) => T,
  serialize: (value: T) => Uint8Array,
): Codec<T> {
  return {
    shape: { kind },
    read(r) {
      const bytes = r.take(r.u32());
      const at = r.at - bytes.length;
      try {
        return parse(bytes, r.curve);
      } catch (error) {
        throw error instanceof WireError ? new WireError(error.problem, at + error.offset, error.path) : error;
      }
    },
    write(w, v) {
      const bytes = serialize(v);
      w.u32(bytes.length);
      w.put(bytes);
    },
  };
}

/** A PSBT, version 0 on the wire. */
export const psbt: Codec<Psbt> = sized('psbt', parsePsbt, serializePsbt);
const transaction: Codec<Transaction> = sized('tx', parseTransaction, serializeTransaction);

/** A transaction with the PSBT that knows the amounts its inputs spend. The two may disagree; hsmd does not compare them. */
export interface TxWithPsbt {
  readonly tx: Transaction;
  readonly psbt: Psbt;
}

export const tx: Codec<TxWithPsbt> = {
  shape: { kind: 'tx' },
  read: (r) => ({ tx: transaction.read(r), psbt: inField('psbt', () => psbt.read(r)) }),
  write(w, v) {
    transaction.write(w, v.tx);
    psbt.write(w, v.psbt);
  },
};

/** Who offered an HTLC: 0 we, 1 the peer. */
export const side: Codec<'local' | 'remote'> = {
  shape: { kind: 'side' },
  read(r) {
    const value = r.u8();
    if (value > 1) throw new WireError(`expected side 0 or 1, found ${value}`, r.at - 1);
    return value === 0 ? 'local' : 'remote';
  },
  write: (w, v) => w.u8(v === 'local' ? 0 : 1),
};

/** An untrimmed HTLC of a commitment; `amount` in msat, `cltvExpiry` a block height. */
export const htlc = struct({ side, amount: u64, paymentHash: sha256, cltvExpiry: u32 });
export type Htlc = StructOf<{
  side: typeof side;
  amount: typeof u64;
  paymentHash: typeof sha256;
  cltvExpiry: typeof u32;
}>;

/** BOLT 3's basepoints, in hsmd's order. */
export const basepoints = struct({ revocation: pubkey, payment: pubkey, htlc: pubkey, delayedPayment: pubkey });
export interface Basepoints {
  readonly revocation: Uint8Array;
  readonly payment: Uint8Array;
  readonly htlc: Uint8Array;
  readonly delayedPayment: Uint8Array;
}

/** What it takes to find the key of an output a peer's unilateral close left us. `csv` in blocks. */
const closeInfo = struct({
  channelDbid: u64,
  peerId: nodeId,
  commitmentPoint: optional(pubkey),
  optionAnchors: bool,
  csv: u32,
});

export interface CloseInfo {
  readonly channelDbid: bigint;
  readonly peerId: Uint8Array;
  readonly commitmentPoint: Uint8Array | undefined;
  readonly optionAnchors: boolean;
  readonly csv: number;
}

/** An output of the wallet; `amount` in satoshi. The two ignored flags of older versions are written as 0. */
export interface Utxo {
  readonly txid: Uint8Array;
  readonly vout: number;
  readonly amount: bigint;
  readonly keyindex: number;
  readonly scriptpubkey: Uint8Array;
  readonly closeInfo: CloseInfo | undefined;
}

const utxoOnWire = struct({
  txid,
  vout: u32,
  amount: u64,
  keyindex: u32,
  wasP2sh: bool,
  scriptpubkey: octets,
  closeInfo: optional(closeInfo),
  wasCoinbase: bool,
});

export const utxo: Codec<Utxo> = {
  shape: utxoOnWire.shape,
  read: (r) => utxoOnWire.read(r),
  write: (w, v) => utxoOnWire.write(w, { ...v, wasP2sh: false, wasCoinbase: false }),
};

/** Secrets that a test network's lightningd may force on a channel: funding, revocation, payment, delayed, HTLC. */
export const channelSecrets = struct({
  funding: secret,
  revocation: secret,
  payment: secret,
  delayed: secret,
  htlc: secret,
});

/** Serialised BIP 32 public key, 78 bytes. */
export const extKey = fixed(78);
export const u32s = array(u32);
export const utxos = array(utxo);
export const htlcs = array(htlc);
