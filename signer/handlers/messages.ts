/** What the node key and the wallet's keys sign besides transactions: invoices, offers, messages, liquidity ads. */

import type { Call } from '../../proto/hsmd/calls.ts';
import { Secret } from '../../proto/secret.ts';
import type { Context, Handlers } from '../context.ts';
import { sha256d, sha256Of, taggedHash } from '../crypto/hash.ts';

/** A message's length as Bitcoin writes it (CompactSize); the wire allows up to 65,535 bytes. */
function compactSize(length: number): Uint8Array {
  return length < 0xfd ? Uint8Array.of(length) : Uint8Array.of(0xfd, length & 0xff, length >> 8);
}

/**
 * BOLT 11: five-bit groups, one a byte, packed into bytes; the last one is padded with zero bits. hsmd does not mask a
 * group to five bits and hands on words of 32 (hash_u5.c), so the upper bits of a bad group run over what is still held.
 */
function packU5(groups: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil((groups.length * 5) / 32) * 4);
  const view = new DataView(packed.buffer);
  let words = 0;
  let bits = 0;
  let held = 0; // at most 36 bits, which a number holds exactly but a bitwise operator does not
  for (const group of groups) {
    held *= 32;
    const low = held % 256;
    held += (low | group) - low;
    bits += 5;
    if (bits < 32) continue;
    bits -= 32;
    view.setUint32(words++ * 4, Math.floor(held / 2 ** bits) % 2 ** 32);
    held %= 2 ** bits;
  }
  if (bits > 0) view.setUint32(words * 4, (held * 2 ** (32 - bits)) % 2 ** 32);
  return packed.subarray(0, Math.ceil((groups.length * 5) / 8));
}

/** The BIP 340 message of a BOLT 12 field: the merkle root under the tag of message and field name. */
function bolt12Digest(messagename: Uint8Array, fieldname: Uint8Array, merkleroot: Uint8Array): Uint8Array {
  return taggedHash(['lightning', messagename, fieldname], merkleroot);
}

function added({ secp }: Context, secret: Secret, tweak: Uint8Array): Secret {
  const tweaked = secp.addToSecret(secret, new Secret(tweak));
  if (tweaked === undefined) throw new RangeError('no key for this tweak');
  return tweaked;
}

type MessageCall = Extract<
  Call,
  | 'signInvoice'
  | 'signBolt12'
  | 'signBolt12_2'
  | 'signMessage'
  | 'bip137SignMessage'
  | 'signOptionWillFundOffer'
  | 'preapproveInvoice'
  | 'preapproveInvoiceCheck'
  | 'preapproveKeysend'
  | 'preapproveKeysendCheck'
>;

export const messageHandlers: Handlers<MessageCall> = {
  signInvoice: ({ secp, keys }, { u5bytes, hrp }) => ({
    sig: secp.signRecoverable(sha256Of(untilNul(hrp), packU5(u5bytes)), keys.node.secret),
  }),

  /** Tweaked signatures are the old payer keys': bolt12 base + SHA256(its point || tweak). */
  signBolt12(context, { messagename, fieldname, merkleroot, publictweak }) {
    const { bolt12, node } = context.keys;
    const key =
      publictweak.length === 0 ? node.secret : added(context, bolt12.secret, sha256Of(bolt12.point, publictweak));
    return { sig: context.secp.signSchnorr(bolt12Digest(messagename, fieldname, merkleroot), key) };
  },

  /** Tweaked signatures are an alias of the node key: node + SHA256(derive_secret(info) || tweak). */
  signBolt12_2(context, { messagename, fieldname, merkleroot, info, publictweak }) {
    const { keys, secp } = context;
    const key =
      publictweak.length === 0
        ? keys.node.secret
        : added(
            context,
            keys.node.secret,
            keys.derivedSecret(info).use((base) => sha256Of(base, publictweak)),
          );
    return { sig: secp.signSchnorr(bolt12Digest(messagename, fieldname, merkleroot), key) };
  },

  signMessage: ({ secp, keys }, { msg }) => ({
    sig: secp.signRecoverable(sha256d('Lightning Signed Message:', msg), keys.node.secret),
  }),

  bip137SignMessage: ({ secp, keys }, { msg, keyidx }) => ({
    sig: secp.signRecoverable(
      sha256d('\x18Bitcoin Signed Message:\n', compactSize(msg.length), msg),
      keys.walletKey(keyidx).secret,
    ),
  }),

  signOptionWillFundOffer({ secp, keys }, request) {
    const terms = new DataView(new ArrayBuffer(10));
    terms.setUint32(0, request.blockheight);
    terms.setUint32(4, request.channelFeeBaseMaxMsat);
    terms.setUint16(8, request.channelFeeProportionalBasisMax);
    const digest = sha256Of('option_will_fund', request.fundingPubkey, new Uint8Array(terms.buffer));
    return { rsig: secp.sign(digest, keys.node.secret) };
  },

  preapproveInvoice: preapprove,
  preapproveInvoiceCheck: preapprove,
  preapproveKeysend: preapprove,
  preapproveKeysendCheck: preapprove,
};

function preapprove({ failPreapprove }: Context): { readonly approved: boolean } {
  return { approved: !failPreapprove };
}

/** hsmd hashes the human-readable part as a C string. */
function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}
