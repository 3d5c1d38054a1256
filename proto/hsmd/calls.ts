/**
 * Every request of Core Lightning v26.06's hsmd and its reply, one call a row: the capability it needs, the request's
 * number and fields, the reply's number and fields. Codec, types, capability check, handlers, names in logs and the
 * tests' generators all come from this table; a new message is one row here and one handler in the signer.
 *
 * Source: hsmd_wire.csv (names, order, types) and libhsmd.c hsmd_check_client_capabilities.
 */

import {
  array,
  bool,
  type Codec,
  type Fields,
  octets,
  optional,
  type StructOf,
  struct,
  u8,
  u16,
  u32,
  u64,
  wirestring,
} from './codec.ts';
import {
  basepoints,
  bip340Signature,
  bitcoinSignature,
  channelSecrets,
  ecdsaSignature,
  extKey,
  htlcs,
  nodeId,
  psbt,
  pubkey,
  recoverableSignature,
  secret,
  sha256,
  tx,
  txid,
  u32s,
  utxos,
} from './fields.ts';
import { tlvs } from './tlv.ts';

/** Bits of a client's capabilities (permissions.h). */
export const capabilities = {
  ecdh: 1n,
  signGossip: 2n,
  signOnchainTx: 4n,
  commitmentPoint: 8n,
  signRemoteTx: 16n,
  signClosingTx: 32n,
  signWillFundOffer: 64n,
  signSpliceTx: 128n,
  lockOutpoint: 256n,
  master: 1024n,
} as const;

export type Capability = keyof typeof capabilities;

/** What lightningd's own socket may do. */
export const lightningdCapabilities = capabilities.master | capabilities.signGossip | capabilities.ecdh;

/** A message: its number and its fields. */
export interface Message<F extends Fields = Fields> {
  readonly number: number;
  readonly fields: F;
  readonly codec: Codec<StructOf<F>>;
}

/** A request with what it needs and what answers it; `reply` is undefined where hsmd stays silent. */
export interface CallRow<Q extends Fields = Fields, P extends Fields | undefined = Fields | undefined> {
  readonly needs: Capability;
  readonly request: Message<Q>;
  readonly reply: P extends Fields ? Message<P> : undefined;
}

function msg<const F extends Fields>(number: number, fields: F): Message<F> {
  return { number, fields, codec: struct(fields) };
}

function call<Q extends Fields, P extends Fields>(
  needs: Capability,
  request: Message<Q>,
  reply: Message<P>,
): CallRow<Q, P> {
  return { needs, request, reply } as CallRow<Q, P>;
}

/** The reply eleven requests share: one signature over a transaction. */
const signTxReply = msg(112, { sig: bitcoinSignature });
const preapproveInvoiceReply = msg(138, { approved: bool });
const preapproveKeysendReply = msg(139, { approved: bool });

const onChannel = { peerId: nodeId, dbid: u64 } as const;
const onInputOfChannel = { input: u32, peerId: nodeId, dbid: u64 } as const;

/** The first seven fields of `init` only matter to test networks; versions are hsmd protocol versions. */
const initFields = {
  bip32PubVersion: u32,
  bip32PrivVersion: u32,
  chainparams: sha256,
  encryptionKey: optional(secret),
  devForcePrivkey: optional(secret),
  devForceBip32Seed: optional(secret),
  devForceChannelSecrets: optional(channelSecrets),
  devForceChannelSecretsShaseed: optional(sha256),
  minVersion: u32,
  maxVersion: u32,
  tlvs: tlvs({ passphrase: [1, wirestring] }),
} as const;

const initReplyFields = {
  version: u32,
  capabilities: u32s,
  nodeId,
  bip32: extKey,
  bolt12: pubkey,
  tlvs: tlvs({ secretType: [1, u8], bip86Base: [2, extKey] }),
} as const;

const setupChannelFields = {
  isOutbound: bool,
  channelValue: u64,
  pushValue: u64,
  fundingTxid: txid,
  fundingTxout: u16,
  localToSelfDelay: u16,
  localShutdownScript: octets,
  localShutdownWalletIndex: optional(u32),
  remoteBasepoints: basepoints,
  remoteFundingPubkey: pubkey,
  remoteToSelfDelay: u16,
  remoteShutdownScript: octets,
  channelType: octets,
} as const;

const signRemoteCommitmentTxFields = {
  tx,
  remoteFundingKey: pubkey,
  remotePerCommit: pubkey,
  optionStaticRemotekey: bool,
  commitNum: u64,
  htlcs,
  feerate: u32,
} as const;

const validateCommitmentTxFields = {
  tx,
  htlcs,
  commitNum: u64,
  feerate: u32,
  sig: bitcoinSignature,
  htlcSigs: array(bitcoinSignature),
} as const;

const outpoint = { fundingTxid: txid, fundingTxout: u16 } as const;
const preapproveKeysendFields = { destination: nodeId, paymentHash: sha256, amountMsat: u64 } as const;
const bolt12Fields = { messagename: wirestring, fieldname: wirestring, merkleroot: sha256 } as const;
const walletInputs = { inputs: utxos, psbt } as const;

// biome-ignore format: one call a row
export const calls = {
  ecdh:                       call('ecdh',              msg(1,   { point: pubkey }),                                          msg(100, { ss: secret })),
  cannouncementSig:           call('signGossip',        msg(2,   { ca: octets }),                                             msg(102, { nodeSignature: ecdsaSignature, bitcoinSignature: ecdsaSignature })),
  cupdateSig:                 call('signGossip',        msg(3,   { cu: octets }),                                             msg(103, { cu: octets })),
  signAnyCannouncement:       call('master',            msg(4,   { ca: octets, ...onChannel }),                               msg(104, { nodeSignature: ecdsaSignature, bitcoinSignature: ecdsaSignature })),
  signCommitmentTx:           call('master',            msg(5,   { ...onChannel, tx, remoteFundingKey: pubkey, commitNum: u64 }), msg(105, { sig: bitcoinSignature })),
  nodeAnnouncementSig:        call('signGossip',        msg(6,   { announcement: octets }),                                   msg(106, { signature: ecdsaSignature })),
  signWithdrawal:             call('master',            msg(7,   walletInputs),                                               msg(107, { psbt })),
  signInvoice:                call('master',            msg(8,   { u5bytes: octets, hrp: octets }),                           msg(108, { sig: recoverableSignature })),
  clientHsmfd:                call('master',            msg(9,   { ...onChannel, permissions: u64 }),                         msg(109, {})),
  getChannelBasepoints:       call('master',            msg(10,  onChannel),                                                  msg(110, { basepoints, fundingPubkey: pubkey })),
  init:                       call('master',            msg(11,  initFields),                                                 msg(114, initReplyFields)),
  signDelayedPaymentToUs:     call('signOnchainTx',     msg(12,  { commitNum: u64, tx, wscript: octets }),                    signTxReply),
  signRemoteHtlcToUs:         call('signOnchainTx',     msg(13,  { remotePerCommitmentPoint: pubkey, tx, wscript: octets, optionAnchorOutputs: bool }), signTxReply),
  signPenaltyToUs:            call('signOnchainTx',     msg(14,  { revocationSecret: secret, tx, wscript: octets }),          signTxReply),
  getPerCommitmentPoint:      call('commitmentPoint',   msg(18,  { n: u64 }),                                                 msg(118, { perCommitmentPoint: pubkey, oldCommitmentSecret: optional(secret) })),
  signRemoteCommitmentTx:     call('signRemoteTx',      msg(19,  signRemoteCommitmentTxFields),                               signTxReply),
  signRemoteHtlcTx:           call('signRemoteTx',      msg(20,  { tx, wscript: octets, remotePerCommitPoint: pubkey, optionAnchorOutputs: bool }), signTxReply),
  signMutualCloseTx:          call('signClosingTx',     msg(21,  { tx, remoteFundingKey: pubkey }),                           signTxReply),
  checkFutureSecret:          call('commitmentPoint',   msg(22,  { n: u64, commitmentSecret: secret }),                       msg(122, { correct: bool })),
  signMessage:                call('master',            msg(23,  { msg: octets }),                                            msg(123, { sig: recoverableSignature })),
  getOutputScriptpubkey:      call('master',            msg(24,  { dbid: u64, peerId: nodeId, commitmentPoint: optional(pubkey) }), msg(124, { script: octets })),
  signBolt12:                 call('master',            msg(25,  { ...bolt12Fields, publictweak: octets }),                   msg(125, { sig: bip340Signature })),
  signOptionWillFundOffer:    call('signWillFundOffer', msg(26,  { fundingPubkey: pubkey, blockheight: u32, channelFeeBaseMaxMsat: u32, channelFeeProportionalBasisMax: u16 }), msg(126, { rsig: ecdsaSignature })),
  deriveSecret:               call('master',            msg(27,  { info: octets }),                                           msg(127, { secret })),
  checkPubkey:                call('master',            msg(28,  { index: u32, pubkey }),                                     msg(128, { ok: bool })),
  signSpliceTx:               call('signSpliceTx',      msg(29,  { tx, remoteFundingKey: pubkey, inputIndex: u32 }),          signTxReply),
  newChannel:                 call('master',            msg(30,  onChannel),                                                  msg(130, {})),
  setupChannel:               call('commitmentPoint',   msg(31,  setupChannelFields),                                         msg(131, {})),
  checkOutpoint:              call('lockOutpoint',      msg(32,  outpoint),                                                   msg(132, { isBuried: bool })),
  devMemleak:                 call('master',            msg(33,  {}),                                                         msg(133, { leak: bool })),
  forgetChannel:              call('master',            msg(34,  onChannel),                                                  msg(134, {})),
  validateCommitmentTx:       call('signRemoteTx',      msg(35,  validateCommitmentTxFields),                                 msg(135, { oldCommitmentSecret: optional(secret), nextPerCommitmentPoint: pubkey })),
  validateRevocation:         call('signRemoteTx',      msg(36,  { revokeNum: u64, perCommitmentSecret: secret }),            msg(136, {})),
  lockOutpoint:               call('lockOutpoint',      msg(37,  outpoint),                                                   msg(137, {})),
  preapproveInvoice:          call('master',            msg(38,  { invstring: wirestring }),                                  preapproveInvoiceReply),
  preapproveKeysend:          call('master',            msg(39,  preapproveKeysendFields),                                    preapproveKeysendReply),
  revokeCommitmentTx:         call('signRemoteTx',      msg(40,  { commitNum: u64 }),                                         msg(140, { oldCommitmentSecret: secret, nextPerCommitmentPoint: pubkey })),
  signBolt12_2:               call('master',            msg(41,  { ...bolt12Fields, info: octets, publictweak: octets }),     msg(141, { sig: bip340Signature })),
  bip137SignMessage:          call('master',            msg(45,  { msg: octets, keyidx: u32 }),                               msg(145, { sig: recoverableSignature })),
  preapproveInvoiceCheck:     call('master',            msg(51,  { invstring: wirestring, checkOnly: bool }),                 preapproveInvoiceReply),
  preapproveKeysendCheck:     call('master',            msg(52,  { ...preapproveKeysendFields, checkOnly: bool }),            preapproveKeysendReply),
  checkBip86Pubkey:           call('master',            msg(56,  { index: u32, pubkey }),                                     msg(156, { ok: bool })),
  devPreinit:                 { needs: 'master', request: msg(99, { tlvs: tlvs({ failPreapprove: [1, bool], noPreapproveCheck: [3, bool], warnOnOvergrind: [5, bool] }) }), reply: undefined },
  signAnyDelayedPaymentToUs:  call('master',            msg(142, { commitNum: u64, tx, wscript: octets, ...onInputOfChannel }), signTxReply),
  signAnyRemoteHtlcToUs:      call('master',            msg(143, { remotePerCommitmentPoint: pubkey, tx, wscript: octets, optionAnchorOutputs: bool, ...onInputOfChannel }), signTxReply),
  signAnyPenaltyToUs:         call('master',            msg(144, { revocationSecret: secret, tx, wscript: octets, ...onInputOfChannel }), signTxReply),
  signAnyLocalHtlcTx:         call('master',            msg(146, { commitNum: u64, tx, wscript: octets, optionAnchorOutputs: bool, ...onInputOfChannel }), signTxReply),
  signAnchorspend:            call('master',            msg(147, { ...onChannel, ...walletInputs }),                          msg(148, { psbt })),
  signHtlcTxMingle:           call('master',            msg(149, { ...onChannel, ...walletInputs }),                          msg(150, { psbt })),
} as const;

export type Calls = typeof calls;
export type Call = keyof Calls;
export type RequestOf<C extends Call> = StructOf<Calls[C]['request']['fields']>;
export type ReplyOf<C extends Call> = Calls[C]['reply'] extends Message<infer F> ? StructOf<F> : undefined;

/** A decoded request; `call` tells which. */
export type Request = { readonly [C in Call]: { readonly call: C; readonly fields: RequestOf<C> } }[Call];

/** The two messages that answer no call: init's failure, and the status message about a bad request (on fd 0). */
export const initReplyFailure = msg(115, { code: u32, message: wirestring });
export const clientBadRequest = msg(1000, { id: nodeId, description: wirestring, msg: octets });

/** hsmd's own name of a call, as in its CSV without the `hsmd_` in front and a `_req` behind. */
export function hsmdName(name: Call): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
