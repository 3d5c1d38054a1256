import { readFile } from 'node:fs/promises';
import test from 'ava';
import fc from 'fast-check';
import { fromHex } from '../../../proto/bytes.ts';
import { defaultFeeBudget, type Wanted } from '../../../signer/approvals/approval.ts';
import type { Decision, Facts } from '../../../signer/approvals/approver.ts';
import { type ClientRequestRules, fromClientRequests } from '../../../signer/approvals/client_requests.ts';
import type { Purpose } from '../../../signer/approvals/purpose.ts';
import { makeRune, runeBytes } from '../../../signer/approvals/rune.ts';
import { nothingSeen, rememberThrough } from '../../../signer/approvals/seen.ts';
import { defaultFreshness, type SignedRequest } from '../../../signer/approvals/signed_request.ts';
import { network } from '../chain/mining.ts';
import { type Asked, boundRequest, msat, newDevice, nodeId, now, secret, seed, stockRequest } from './clients.ts';

// The file holds what its name says; a wrong one fails the tests that read it.
const { valid } = JSON.parse(await readFile('test/vectors/invoices/bolt11.json', 'utf8')) as {
  readonly valid: readonly { readonly invoice: string }[];
};
const coffee = valid[1]?.invoice ?? '';
const hash = fromHex('0001020304050607080900010203040506070809000102030405060708090102');
const paying: Wanted = { purpose: { kind: 'payment', paymentHash: hash }, amountMsat: 250_000_000n };

const device = await newDevice();
const thief = await newDevice();
const { signal } = new AbortController();

function rules(changes: Partial<ClientRequestRules> = {}): ClientRequestRules {
  return {
    nodeId,
    network: network('bitcoin'),
    runeSecret: secret,
    revoked: new Set(),
    freshness: defaultFreshness,
    acceptStock: true,
    budget: defaultFeeBudget,
    lifetime: 3_600_000,
    seen: rememberThrough(nothingSeen, () => Promise.resolve()),
    idle: () => undefined,
    ...changes,
  };
}

function facts(requests: readonly SignedRequest[], changes: Partial<Facts> = {}): Facts {
  return { now, requests, spent: { paymentsMsat: 0n, onchainMsat: 0n }, checkOnly: false, ...changes };
}

/** What a fresh approver says to one request. */
async function decide(
  request: SignedRequest,
  wanted = paying,
  changes: Partial<ClientRequestRules> = {},
): Promise<Decision> {
  return fromClientRequests(rules(changes)).approve(wanted, facts([request]), signal);
}

const pay: Asked = {
  device,
  uri: '/cln.Node/Pay',
  fields: [
    [1, coffee],
    [11, msat(1000)],
  ],
};
const bare: Asked = { ...pay, fields: [[1, coffee]] };

test('a stock pay with a maximum fee approves its invoice, with that fee', async (t) => {
  const decision = await decide(await stockRequest(pay));
  if (decision.answer !== 'yes') return t.fail(decision.reason);
  t.like(decision.approvals[0], {
    amountMsat: 250_000_000n,
    feeBudgetMsat: 1000n,
    expiresAt: now + 3_600_000,
    usesLeft: 1,
  });
  return undefined;
});

test('a bound pay approves its invoice, with the fee of the limits', async (t) => {
  const decision = await decide(await boundRequest(bare));
  if (decision.answer !== 'yes') return t.fail(decision.reason);
  t.is(decision.approvals[0]?.feeBudgetMsat, 2_500_000n);
  return undefined;
});

async function refused(
  t: { regex(text: string, pattern: RegExp): void; fail(message: string): void },
  decision: Promise<Decision>,
  pattern: RegExp,
) {
  const said = await decision;
  if (said.answer === 'abstain') t.regex(said.reason, pattern);
  else t.fail(`it answered ${said.answer}`);
}

test('a signed decode presented as a pay approves nothing, and neither does a pay that a decode could be', async (t) => {
  const decode = await stockRequest({ ...bare, uri: '/cln.Node/Decode' });
  await refused(t, decide(decode), /no client request asks for it$/);
  await refused(t, decide({ ...decode, uri: '/cln.Node/Pay' }), /could be a request of/);
  await refused(t, decide(await stockRequest(bare)), /could be a request of/);
  const bound = await boundRequest({ ...bare, uri: '/cln.Node/Decode' });
  await refused(t, decide({ ...bound, uri: '/cln.Node/Pay' }), /the signature of \/cln.Node\/Pay/);
  const { bound: _dropped, ...stripped } = bound;
  await refused(t, decide({ ...stripped, uri: '/cln.Node/Pay' }), /could be a request of/);
});

test('a request approves once, however it is presented again', async (t) => {
  const approver = fromClientRequests(rules());
  const ask = (request: SignedRequest, at = now) => approver.approve(paying, facts([request], { now: at }), signal);
  const request = await boundRequest(pay);
  t.is((await ask(request)).answer, 'yes');
  await refused(t, ask(request), /pay: it has been approved before/);
  const { bound: _dropped, ...stripped } = request;
  await refused(t, ask(stripped, now + 5), /it has been approved before/);
  await refused(t, ask(request, now + 86_400_000), /ms ago/);
  const again = await boundRequest({ ...pay, at: now + 1 });
  t.is((await ask(again)).answer, 'yes', 'asked for again by the client it is another request');
});

test('a check alone does not use a request up', async (t) => {
  const approver = fromClientRequests(rules());
  const request = await stockRequest(pay);
  const ask = (checkOnly: boolean) => approver.approve(paying, facts([request], { checkOnly }), signal);
  t.is((await ask(true)).answer, 'yes');
  t.is((await ask(true)).answer, 'yes');
  t.is((await ask(false)).answer, 'yes');
});

test('a rune must be this device’s own, of this node, allow the method, and not be revoked', async (t) => {
  const request = await stockRequest(pay);
  const stolen = { ...request, rune: thief.rune() };
  await refused(t, decide(stolen), /does not allow it: pubkey=…/);
  const foreign = runeBytes(makeRune(seed, '0', 'gl0', []));
  await refused(t, decide({ ...request, rune: foreign }), /not a rune of this node/);
  await refused(t, decide({ ...request, rune: new Uint8Array() }), /expected at least 32 bytes/);
  const listing = device.rune([{ field: 'method', condition: '^', value: 'List' }]);
  await refused(t, decide({ ...request, rune: listing }), /does not allow it: method\^List/);
  await refused(t, decide(request, paying, { revoked: new Set(['0']) }), /revoked/);
  const small = device.rune([{ field: 'amount', condition: '<', value: '250000000' }]);
  await refused(t, decide({ ...request, rune: small }), /does not allow it: amount</);
  const enough = device.rune([{ field: 'amount', condition: '<', value: '250000001' }]);
  t.is((await decide({ ...request, rune: enough })).answer, 'yes');
});

test('a request serves for what it asks and not for more', async (t) => {
  const request = await stockRequest(pay);
  await refused(t, decide(request, { ...paying, amountMsat: 250_000_001n }), /no client request asks for it$/);
  const other: Purpose = { kind: 'payment', paymentHash: hash.with(0, 1) };
  await refused(t, decide(request, { ...paying, purpose: other }), /no client request asks for it$/);
});

test('where only signed URIs count, a stock request approves nothing', async (t) => {
  await refused(
    t,
    decide(await stockRequest(pay), paying, { acceptStock: false }),
    /expected a signature over its URI/,
  );
  t.is((await decide(await boundRequest(pay), paying, { acceptStock: false })).answer, 'yes');
});

test('a request of unknown fields approves nothing, even with its URI signed', async (t) => {
  const unknown = await boundRequest({ ...pay, fields: [...pay.fields, [99, 1]] });
  await refused(t, decide(unknown), /no request of \/cln.Node\/Pay as this signer knows it/);
});

test('bad requests do not keep a good one from being found', async (t) => {
  const good = await stockRequest(pay);
  const bad = { ...good, signature: new Uint8Array(64) };
  const decision = await fromClientRequests(rules()).approve(paying, facts([bad, good]), signal);
  t.is(decision.answer, 'yes');
});

test('one request for several outputs approves each of them at once', async (t) => {
  const to = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
  const script = fromHex('0014751e76e8199196d454941c45d1b3a323f1433bd6');
  const fields: Asked['fields'] = [
    [
      1,
      [
        [1, to],
        [2, msat(1000)],
      ],
    ],
    [
      1,
      [
        [1, to],
        [2, msat(2000)],
      ],
    ],
  ];
  const request = await boundRequest({ device, uri: '/cln.Node/MultiWithdraw', fields });
  const decision = await decide(request, { purpose: { kind: 'output', script }, amountMsat: 2000n });
  if (decision.answer !== 'yes') return t.fail(decision.reason);
  t.deepEqual(
    decision.approvals.map(({ amountMsat }) => amountMsat),
    [1000n, 2000n],
  );
  t.is(new Set(decision.approvals.map(({ id }) => id)).size, 2);
  return undefined;
});

test('stock requests by which value leaves, as clients usually write them, are not mistaken for others', async (t) => {
  const to = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
  const script = fromHex('0014751e76e8199196d454941c45d1b3a323f1433bd6');
  const usual: readonly (readonly [method: string, fields: Asked['fields'], purpose: Purpose])[] = [
    [
      'Pay',
      [
        [1, coffee],
        [13, msat(250_000_000)],
      ],
      paying.purpose,
    ],
    [
      'Xpay',
      [
        [1, coffee],
        [3, msat(5)],
      ],
      paying.purpose,
    ],
    [
      'KeySend',
      [
        [1, nodeId],
        [10, msat(5)],
      ],
      { kind: 'keysend', destination: nodeId },
    ],
    [
      'Withdraw',
      [
        [1, to],
        [2, [[1, msat(5)]]],
      ],
      { kind: 'output', script },
    ],
    [
      'FundChannel',
      [
        [1, [[1, msat(5)]]],
        [9, nodeId],
      ],
      { kind: 'channel', peer: nodeId, pushMsat: 0n },
    ],
    [
      'SendPay',
      [
        [
          1,
          [
            [2, nodeId],
            [5, msat(5)],
          ],
        ],
        [2, hash],
      ],
      paying.purpose,
    ],
  ];
  for (const [method, fields, purpose] of usual) {
    const decision = await decide(await stockRequest({ device, uri: `/cln.Node/${method}`, fields }), {
      purpose,
      amountMsat: 5n,
    });
    t.is(decision.answer, 'yes', `${method}: ${decision.answer === 'yes' ? '' : decision.reason}`);
  }
});

test('random evidence is never a yes and never throws', async (t) => {
  const good = await stockRequest(pay);
  const bytes = fc.uint8Array({ maxLength: 100 });
  const some = <T>(value: T, other: fc.Arbitrary<T>) => fc.oneof(fc.constant(value), other);
  const request = fc
    .record({
      request: some(good.request, bytes),
      uri: some(good.uri, fc.constantFrom('/cln.Node/Xpay', '/cln.Node/Decode', '/greenlight.Node/Configure', '')),
      signature: some(good.signature, bytes),
      pubkey: some(good.pubkey, bytes),
      timestamp: some(good.timestamp, fc.bigInt(0n, 2n ** 64n - 1n)),
      rune: some(good.rune, bytes),
    })
    .filter((one) => JSON.stringify(Object.values(one), json) !== JSON.stringify(Object.values(good), json));
  await fc.assert(
    fc.asyncProperty(request, async (one) => {
      const { answer } = await decide(one);
      if (answer !== 'abstain') throw new Error(answer);
    }),
    { numRuns: 200 },
  );
  t.pass();
});

function json(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
