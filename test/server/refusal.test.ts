/** Every no that lightningd can be given is one it can read, for every call it makes and every subdaemon. */

import test from 'ava';
import fc from 'fast-check';
import { inputFields } from '../../proto/bitcoin/psbt_fields.ts';
import { unknownType } from '../../proto/bitcoin/psbt_map.ts';
import { utf8 } from '../../proto/bytes.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import { type Call, calls, capabilities, initReplyFailure, type Message } from '../../proto/hsmd/calls.ts';
import { decodeMessage, encodeMessage, messageType } from '../../proto/hsmd/message.ts';
import { misfit } from '../../server/fitting.ts';
import { patienceFor, refusalReply } from '../../server/refusal.ts';
import { lightningd } from '../../server/relay.ts';
import { arbitraryOf } from '../arbitraries.ts';
import { channeld, connectd, ecdh, nodeId } from './messages.ts';

const names = Object.keys(calls) as Call[];
/** The host answers these itself. */
const hostsOwn: ReadonlySet<Call> = new Set(['clientHsmfd', 'devPreinit']);
const lightningdAsks = names.filter(
  (call) => !hostsOwn.has(call) && (capabilities[calls[call].needs] & lightningd.capabilities) !== 0n,
);
/** Where only the end of hsmd says no. */
const noReplySaysNo: ReadonlySet<Call> = new Set<Call>([
  'getChannelBasepoints',
  'getOutputScriptpubkey',
  'checkPubkey',
  'checkBip86Pubkey',
  'signBolt12_2',
]);
/** Where a reply that cannot be read fails the RPC and nothing else. */
const failsTheRpc: ReadonlySet<Call> = new Set<Call>(['bip137SignMessage', 'deriveSecret', 'signWithdrawal']);

const no = (request: Uint8Array) => ({ request, reason: 'no\n', entropy: systemEntropy });

function requestOf(call: Call): Uint8Array {
  const message: Message = calls[call].request;
  const [fields] = fc.sample(arbitraryOf(message.codec.shape), { numRuns: 1, seed: 1 });
  return encodeMessage(message, fields as object);
}

for (const call of lightningdAsks) {
  test(`lightningd can read the no to ${call}`, (t) => {
    const reply = refusalReply(call, lightningd, no(requestOf(call)));
    t.is(reply === undefined, noReplySaysNo.has(call));
    if (reply === undefined) return;
    const failure = call === 'init' ? initReplyFailure.number : calls[call].reply?.number;
    t.is(messageType(reply), failure);
    if (failsTheRpc.has(call)) t.is(reply.length, 2);
    else t.is(misfit(call, { kind: 'reply', bytes: reply }), undefined);
  });
}

/** sign_withdrawal with one input, with lightningd's own fields of the given subtypes on it. */
function withdrawal(fields: Readonly<Record<number, Uint8Array>>): Uint8Array {
  const pairs = Object.entries(fields).map(([subtype, value]) => ({
    type: unknownType,
    key: Uint8Array.of(0xfc, 9, ...utf8('lightning'), Number(subtype)),
    value,
  }));
  const spent = { txid: new Uint8Array(32).fill(1), vout: 0, scriptSig: new Uint8Array(), sequence: 0, witness: [] };
  const tx = { version: 2, inputs: [spent], outputs: [{ amount: 1n, script: new Uint8Array(22) }], locktime: 0 };
  const input = { previousTx: undefined, witnessUtxo: undefined, pairs };
  return encodeMessage(calls.signWithdrawal.request, {
    inputs: [],
    psbt: { tx, globals: [], inputs: [input], outputs: [[]] },
  });
}

test('a withdrawal fails as an RPC, but unsigned where a hook of the peer’s opening asked for it', (t) => {
  const replyTo = (request: Uint8Array) => refusalReply('signWithdrawal', lightningd, no(request));
  const serial = (last: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, last);
  const ours = new Uint8Array([1]);
  for (const fields of [{}, { 1: serial(2), 2: ours }, { 1: serial(3) }, { 2: ours }])
    t.is(replyTo(withdrawal(fields))?.length, 2);
  const accepters = replyTo(withdrawal({ 1: serial(3), 2: ours })) ?? new Uint8Array();
  t.is(misfit('signWithdrawal', { kind: 'reply', bytes: accepters }), undefined);
});

test('where a no costs more than waiting, the request waits', (t) => {
  const impatient = lightningdAsks.filter((call) => patienceFor(call, lightningd) !== undefined);
  t.deepEqual(impatient.toSorted(), [
    'bip137SignMessage',
    'devMemleak',
    'ecdh',
    'preapproveInvoice',
    'preapproveInvoiceCheck',
    'preapproveKeysend',
    'preapproveKeysendCheck',
    'signAnchorspend',
    'signHtlcTxMingle',
    'signWithdrawal',
  ]);
});

test('a subdaemon’s connection is closed, but connectd’s', (t) => {
  for (const capabilitiesOf of [24n, 344n, 447n, 40n, 12n])
    t.is(refusalReply('ecdh', { ...channeld(1n), capabilities: capabilitiesOf }, no(ecdh)), undefined);
  const secrets = [1, 2].map(() => refusalReply('ecdh', connectd, no(ecdh)));
  t.is(secrets[0]?.length, 34);
  t.notDeepEqual(secrets[0], secrets[1]);
});

test('onchaind waits for as long as it takes: it is not started again', (t) => {
  t.is(patienceFor('getPerCommitmentPoint', { nodeId, dbid: 1n, capabilities: 12n }), undefined);
  t.is(patienceFor('getPerCommitmentPoint', { nodeId, dbid: 1n, capabilities: 24n }), 60_000);
  t.is(patienceFor('getPerCommitmentPoint', channeld(1n)), 300_000);
});

test('an unsigned HTLC transaction comes back with every input final, since lightningd exits over one that is not', (t) => {
  const request = requestOf('signHtlcTxMingle');
  const reply = refusalReply('signHtlcTxMingle', lightningd, no(request));
  const { psbt } = decodeMessage(calls.signHtlcTxMingle.reply, reply ?? new Uint8Array());
  t.true(psbt.inputs.length > 0);
  for (const { pairs } of psbt.inputs) t.true(pairs.some(({ type }) => type === inputFields.finalScriptWitness.type));
});

test('an update that is refused is the one asked for, with a signature of zeros', (t) => {
  const cu = Uint8Array.from({ length: 138 }, (_, i) => i + 1);
  const request = encodeMessage(calls.cupdateSig.request, { cu });
  const reply = refusalReply('cupdateSig', lightningd, no(request)) ?? new Uint8Array();
  const signed = decodeMessage(calls.cupdateSig.reply, reply).cu;
  t.deepEqual(signed.subarray(2, 66), new Uint8Array(64));
  t.deepEqual(signed.subarray(66), cu.subarray(66));
  t.deepEqual(signed.subarray(0, 2), cu.subarray(0, 2));
});
