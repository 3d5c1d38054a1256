/** BOLT 3's witness scripts, as templates. */

import type { CommitmentKeys } from './keys.ts';
import { pushBytes, pushNumber, type ScriptTemplate } from './template.ts';

const op = {
  true: 0x51,
  two: 0x52,
  sixteen: 0x60,
  if: 0x63,
  notif: 0x64,
  else: 0x67,
  endif: 0x68,
  ifdup: 0x73,
  drop: 0x75,
  dup: 0x76,
  swap: 0x7c,
  size: 0x82,
  equal: 0x87,
  equalverify: 0x88,
  hash160: 0xa9,
  checksig: 0xac,
  checksigverify: 0xad,
  checkmultisig: 0xae,
  checklocktimeverify: 0xb1,
  checksequenceverify: 0xb2,
} as const;

/** A push of the number 32, the length of a preimage. */
const thirtyTwo = [0x01, 0x20] as const;

/** §to_local Output, and the output of HTLC transactions; `delay` in blocks. */
export function toLocalScript(keys: CommitmentKeys, delay: number): ScriptTemplate {
  return [
    op.if,
    pushBytes('revocation', keys.revocation),
    op.else,
    pushNumber('delay', delay),
    op.checksequenceverify,
    op.drop,
    pushBytes('ownerDelayed', keys.ownerDelayed),
    op.endif,
    op.checksig,
  ];
}

/** §to_remote Output with option_anchors; `csv` is 1 block but in a leased channel. Without anchors it is P2WPKH. */
export function toRemoteScript(otherPayment: Uint8Array, csv: number): ScriptTemplate {
  return [pushBytes('otherPayment', otherPayment), op.checksigverify, pushNumber('csv', csv), op.checksequenceverify];
}

/** §to_local_anchor and to_remote_anchor Output. */
export function anchorScript(fundingPubkey: Uint8Array): ScriptTemplate {
  return [
    pushBytes('funding', fundingPubkey),
    op.checksig,
    op.ifdup,
    op.notif,
    op.sixteen,
    op.checksequenceverify,
    op.endif,
  ];
}

// biome-ignore-start format: as BOLT 3 breaks the lines
/** What the two HTLC scripts begin and end with. */
function htlcScript(keys: CommitmentKeys, anchors: boolean, branches: ScriptTemplate): ScriptTemplate {
  const { revocationHash, otherHtlc } = keys;
  return [
    op.dup,
    op.hash160,
    pushBytes('revocation', revocationHash),
    op.equal,
    op.if,
    op.checksig,
    op.else,
    pushBytes('otherHtlc', otherHtlc),
    op.swap,
    op.size,
    ...thirtyTwo,
    op.equal,
    ...branches,
    ...(anchors ? [op.true, op.checksequenceverify, op.drop] : []),
    op.endif,
  ];
}

/** §Offered HTLC Outputs: offered by the commitment's owner. `hash160` is RIPEMD160 of the payment hash. */
export function offeredHtlcScript(keys: CommitmentKeys, anchors: boolean, hash160: Uint8Array): ScriptTemplate {
  return htlcScript(keys, anchors, [
    op.notif,
    op.drop,
    op.two,
    op.swap,
    pushBytes('ownerHtlc', keys.ownerHtlc),
    op.two,
    op.checkmultisig,
    op.else,
    op.hash160,
    pushBytes('paymentHash', hash160),
    op.equalverify,
    op.checksig,
    op.endif,
  ]);
}

/** §Received HTLC Outputs: offered by the other side. `hash160` as above, `cltvExpiry` a block height. */
export function receivedHtlcScript(
  keys: CommitmentKeys,
  anchors: boolean,
  hash160: Uint8Array,
  cltvExpiry: number,
): ScriptTemplate {
  return htlcScript(keys, anchors, [
    op.if,
    op.hash160,
    pushBytes('paymentHash', hash160),
    op.equalverify,
    op.two,
    op.swap,
    pushBytes('ownerHtlc', keys.ownerHtlc),
    op.two,
    op.checkmultisig,
    op.else,
    op.drop,
    pushNumber('cltvExpiry', cltvExpiry),
    op.checklocktimeverify,
    op.drop,
    op.checksig,
    op.endif,
  ]);
}
// biome-ignore-end format: as BOLT 3 breaks the lines
