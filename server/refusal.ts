/**
 * How to say no to lightningd without hurting the node: for each call, what lightningd does with an answer that is not
 * the reply it waits for decides what it gets instead. A subdaemon that loses its hsmd connection dies alone and is
 * started again; lightningd itself would die, so there the no is a well-formed reply wherever one exists.
 *
 * Source: what lightningd v26.06 does with each reply (lightningd/, wallet/, channeld/, onchaind/, connectd/).
 */

import type { ClientIdentity } from '../proto/answer.ts';
import type { PsbtInput } from '../proto/bitcoin/psbt.ts';
import { inputFields } from '../proto/bitcoin/psbt_fields.ts';
import { equalBytes, utf8 } from '../proto/bytes.ts';
import type { Entropy } from '../proto/entropy.ts';
import { type Call, calls, initReplyFailure } from '../proto/hsmd/calls.ts';
import { toWirestring, Writer } from '../proto/hsmd/codec.ts';
import { decodeMessage, encodeMessage, encodeReply } from '../proto/hsmd/message.ts';
import { Secret } from '../proto/secret.ts';

/** What a no is made of. */
export interface No {
  readonly request: Uint8Array;
  /** Why, in a form fit for lightningd's log. */
  readonly reason: string;
  readonly entropy: Entropy;
}

interface Row {
  /** The reply that says no; undefined where only closing the connection does. */
  readonly reply: ((no: No) => Uint8Array) | undefined;
  /** How long the request may wait for a signer, in milliseconds; undefined where waiting hurts less than a no. */
  readonly patience: number | undefined;
}

const second = 1000;
const zeros = new Uint8Array(64);
const noSignature = { signature: zeros, sighash: 0x01 } as const;
const noRecoverable = { sig: { signature: zeros, recoveryId: 0 } };
const noAnnouncement = { nodeSignature: zeros, bitcoinSignature: zeros };

/** A reply of the right type and no fields: the RPC behind it fails on it, nothing else does. */
const empty = (call: Call) => () => {
  const w = new Writer();
  w.u16(calls[call].reply?.number ?? 0);
  return w.finish();
};

/** A secret nobody knows: the handshake or onion it was for fails. A fixed one could be computed with. */
const randomSecret = ({ entropy }: No) => encodeReply('ecdh', { ss: new Secret(entropy(32)) });

/** The signature field of a channel_update (BOLT 7) stands behind its type. */
function unsignedUpdate({ request }: No): Uint8Array {
  const cu = Uint8Array.from(decodeMessage(calls.cupdateSig.request, request).cu);
  cu.fill(0, 2, 66);
  return encodeReply('cupdateSig', { cu });
}

/** The PSBT of a request, as it came. */
const unsigned =
  (call: 'signWithdrawal' | 'signAnchorspend') =>
  ({ request }: No) =>
    encodeReply(call, { psbt: decodeMessage(calls[call].request, request).psbt });

/**
 * A plugin that opens a channel ends over an unsigned PSBT, and lightningd with it; where the RPC fails it cleans up. A
 * plugin that adds to a channel the peer opens may not let a hook fail, which ends lightningd: it can pass on an unsigned
 * one, and that opening fails.
 */
function notSpent(no: No): Uint8Array {
  const { psbt } = decodeMessage(calls.signWithdrawal.request, no.request);
  return psbt.inputs.some(addedByAccepter) ? unsigned('signWithdrawal')(no) : empty('signWithdrawal')();
}

/** The key of a field that lightningd itself puts on a PSBT's inputs (BIP 174's proprietary type; common/psbt_open.h). */
const lightningKey = (subtype: number) => Uint8Array.of(0xfc, 9, ...utf8('lightning'), subtype);
const serialKey = lightningKey(1);
const oursKey = lightningKey(2);

/** Whether an input is ours in a channel that the peer opens: the accepter's serial ids are odd (BOLT 2). */
function addedByAccepter({ pairs }: PsbtInput): boolean {
  const value = (key: Uint8Array) => pairs.find((pair) => equalBytes(pair.key, key))?.value;
  return value(oursKey) !== undefined && ((value(serialKey)?.at(-1) ?? 0) & 1) === 1;
}

/** One witness element of 64 zero bytes. */
const dummyWitness = Uint8Array.of(1, 64, ...zeros);

/** lightningd exits over an input that is not final: each that is not gets a witness, which no node takes for valid. */
function dummySigned({ request }: No): Uint8Array {
  const { psbt } = decodeMessage(calls.signHtlcTxMingle.request, request);
  const { finalScriptSig, finalScriptWitness } = inputFields;
  const final: ReadonlySet<number> = new Set([finalScriptSig.type, finalScriptWitness.type]);
  const inputs = psbt.inputs.map((input) =>
    input.pairs.some(({ type }) => final.has(type))
      ? input
      : {
          ...input,
          pairs: [...input.pairs, { type: finalScriptWitness.type, key: new Uint8Array(), value: dummyWitness }],
        },
  );
  return encodeReply('signHtlcTxMingle', { psbt: { ...psbt, inputs } });
}

const initFailure = ({ reason }: No) =>
  encodeMessage(initReplyFailure, { code: 8, message: toWirestring(reason).filter((byte) => byte >= 0x20) });

const zeroTxSignature = () => encodeReply('signCommitmentTx', { sig: noSignature });
const zeroSignTx = () => encodeReply('signAnyLocalHtlcTx', { sig: noSignature });
const notApproved = { approved: false };

/** The calls lightningd itself makes. A request that waits here makes the whole daemon wait. */
// biome-ignore format: one call a row
const lightningdsOwn: { readonly [C in Call]?: Row } = {
  // The RPC fails, or is told no.
  signWithdrawal:            { reply: notSpent,                                                          patience: 60 * second },
  preapproveInvoice:         { reply: () => encodeReply('preapproveInvoice', notApproved),               patience: 60 * second },
  preapproveInvoiceCheck:    { reply: () => encodeReply('preapproveInvoiceCheck', notApproved),          patience: 60 * second },
  preapproveKeysend:         { reply: () => encodeReply('preapproveKeysend', notApproved),               patience: 60 * second },
  preapproveKeysendCheck:    { reply: () => encodeReply('preapproveKeysendCheck', notApproved),          patience: 60 * second },
  bip137SignMessage:         { reply: empty('bip137SignMessage'),                                        patience: 60 * second },
  // The same for makesecret, but a start asks this too, and ends on it.
  deriveSecret:              { reply: empty('deriveSecret'),                                             patience: undefined },
  // One onion or handshake fails.
  ecdh:                      { reply: randomSecret,                                                      patience: 30 * second },
  // Tried again with the next block.
  signAnchorspend:           { reply: unsigned('signAnchorspend'), patience: 60 * second },
  signHtlcTxMingle:          { reply: dummySigned, patience: 60 * second },
  devMemleak:                { reply: () => encodeReply('devMemleak', { leak: false }),                  patience: 60 * second },
  // Nobody checks these signatures here; whoever gets them later throws them away. So a refusal can say so, a signer
  // that is merely away is waited for.
  cannouncementSig:          { reply: () => encodeReply('cannouncementSig', noAnnouncement),             patience: undefined },
  cupdateSig:                { reply: unsignedUpdate,                                                    patience: undefined },
  nodeAnnouncementSig:       { reply: () => encodeReply('nodeAnnouncementSig', { signature: zeros }),    patience: undefined },
  signInvoice:               { reply: () => encodeReply('signInvoice', noRecoverable),                   patience: undefined },
  signMessage:               { reply: () => encodeReply('signMessage', noRecoverable),                   patience: undefined },
  signBolt12:                { reply: () => encodeReply('signBolt12', { sig: zeros }),                   patience: undefined },
  signCommitmentTx:          { reply: zeroTxSignature,                                                   patience: undefined },
  signAnyDelayedPaymentToUs: { reply: zeroSignTx,                                                        patience: undefined },
  signAnyRemoteHtlcToUs:     { reply: zeroSignTx,                                                        patience: undefined },
  signAnyPenaltyToUs:        { reply: zeroSignTx,                                                        patience: undefined },
  signAnyLocalHtlcTx:        { reply: zeroSignTx,                                                        patience: undefined },
  // The channel is closed by force: bad, but one channel and not the whole node.
  signAnyCannouncement:      { reply: () => encodeReply('signAnyCannouncement', noAnnouncement),         patience: undefined },
  // What a no to new_channel would prevent is prevented at setup_channel. A channel forgotten here is kept there.
  newChannel:                { reply: () => encodeReply('newChannel', {}),                               patience: undefined },
  forgetChannel:             { reply: () => encodeReply('forgetChannel', {}),                            patience: undefined },
  // lightningd ends, and says why.
  init:                      { reply: initFailure,                                                       patience: undefined },
  // No reply says no: lightningd ends.
  getChannelBasepoints:      { reply: undefined, patience: undefined },
  getOutputScriptpubkey:     { reply: undefined, patience: undefined },
  checkPubkey:               { reply: undefined, patience: undefined },
  checkBip86Pubkey:          { reply: undefined, patience: undefined },
  signBolt12_2:              { reply: undefined, patience: undefined },
};

/** Subdaemons that differ from the rest, by the capabilities that lightningd gives them. */
const subdaemons: ReadonlyMap<bigint, Row> = new Map([
  // connectd: lightningd ends with it. A handshake with a wrong secret just fails.
  [1n, { reply: randomSecret, patience: 30 * second }],
  // onchaind: it is not started again before lightningd is; sweeping that channel would stop until then.
  [12n, { reply: undefined, patience: undefined }],
  // openingd: the opening is lost, nothing else.
  [24n, { reply: undefined, patience: 60 * second }],
]);

/** channeld, closingd, dualopend: the channel reconnects and asks again. */
const anySubdaemon: Row = { reply: undefined, patience: 300 * second };

/** Whether a client is lightningd itself: it alone has the zero id. */
export function isLightningd(client: ClientIdentity): boolean {
  return client.nodeId.every((byte) => byte === 0);
}

function rowOf(call: Call, client: ClientIdentity): Row {
  if (isLightningd(client)) return lightningdsOwn[call] ?? { reply: undefined, patience: undefined };
  return subdaemons.get(client.capabilities) ?? anySubdaemon;
}

/** How long a request may wait for a signer, in milliseconds; undefined: for as long as it takes. */
export function patienceFor(call: Call, client: ClientIdentity): number | undefined {
  return rowOf(call, client).patience;
}

/** The reply that says no to a call; undefined where its connection has to be closed instead. */
export function refusalReply(call: Call, client: ClientIdentity, no: No): Uint8Array | undefined {
  return rowOf(call, client).reply?.(no);
}
