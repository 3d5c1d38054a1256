import { readFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { fromHex, toHex } from '../../../proto/bytes.ts';
import { Secret } from '../../../proto/secret.ts';
import type { SignedRequest } from '../../../proto/signed_request.ts';
import { ClientRequests } from '../../../signer/approvals/client_requests.ts';
import { makeRune, runeBytes } from '../../../signer/approvals/rune.ts';
import { readBolt11 } from '../../../signer/lightning/bolt11.ts';
import type { Consent, Purpose } from '../../../signer/policy/purpose.ts';
import { profiles, type Settings } from '../../../signer/policy/settings.ts';
import { type Memory, openMemoryStore } from '../../../signer/store/memory.ts';
import { network } from '../chain/mining.ts';
import { type Asked, boundRequest, msat, newDevice, nodeId, now, secret, stockRequest } from './clients.ts';

// The file holds what its name says; a wrong one fails the tests that read it.
const { valid } = JSON.parse(await readFile('test/vectors/invoices/bolt11.json', 'utf8')) as {
  readonly valid: readonly { readonly invoice: string }[];
};
const coffee = valid[1]?.invoice ?? '';
const hash = '0001020304050607080900010203040506070809000102030405060708090102';
const paying = {
  kind: 'pay',
  how: 'invoice',
  hash,
  amountMsat: 250_000_000n,
  feeBudgetMsat: 2_500_000n,
  payee: undefined,
  invoice: undefined,
} as const satisfies Purpose;

const device = await newDevice();
const thief = await newDevice();

interface Signer {
  readonly requests: ClientRequests;
  /** Why requests were not taken. */
  readonly reasons: string[];
  /** Unix milliseconds. */
  now: number;
  /** The owner's word. */
  ask(purpose?: Purpose): Promise<Consent>;
  /** Makes room for another signer over the same state. */
  stop(): PromiseLike<void>;
}

/** A signer's requests over a store, which may have been another one's before. */
function signer(settings: Partial<Settings> = {}, memory: Memory = {}): Signer {
  const reasons: string[] = [];
  const store = openMemoryStore(memory, memory.state === undefined ? 'create' : 'fail');
  const requests = new ClientRequests({
    nodeId,
    network: network('bitcoin'),
    runes: secret,
    settings: { ...profiles.mainnet, ...settings },
    store,
    clock: { now: () => self.now, monotonic: () => self.now, after: () => () => undefined },
    log: (_level, _message, facts) => reasons.push(String(facts?.['reason'] ?? 'shown again')),
  });
  const ask = (purpose: Purpose = paying) => requests.approve(purpose, Math.floor(self.now / 1000));
  const self = { requests, reasons, now, ask, stop: () => store[Symbol.asyncDispose]() };
  return self;
}

/** What a fresh signer says that was shown one request. */
async function decide(request: SignedRequest, purpose: Purpose = paying, settings: Partial<Settings> = {}) {
  const { requests, reasons, ask } = signer(settings);
  await requests.show(request);
  return { consent: await ask(purpose), reasons };
}

async function refused(t: ExecutionContext, decision: ReturnType<typeof decide>, pattern?: RegExp): Promise<void> {
  const { consent, reasons } = await decision;
  t.false(consent);
  if (pattern === undefined) t.deepEqual(reasons, []);
  else t.regex(reasons.join(), pattern);
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
const to = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
const script = '0014751e76e8199196d454941c45d1b3a323f1433bd6';
const peer = toHex(nodeId);

test('a stock pay with a maximum fee allows its invoice, with that fee', async (t) => {
  const { consent } = await decide(await stockRequest(pay));
  t.like(consent, { amountMsat: 250_000_000n, feeBudgetMsat: 1000n });
});

test('a bound pay allows its invoice, with the fee of the settings', async (t) => {
  const { consent } = await decide(await boundRequest(bare));
  t.like(consent, { amountMsat: 250_000_000n, feeBudgetMsat: 2_500_000n });
});

test('a signed decode presented as a pay allows nothing, and neither does a pay that a decode could be', async (t) => {
  const decode = await stockRequest({ ...bare, uri: '/cln.Node/Decode' });
  await refused(t, decide(decode));
  await refused(t, decide({ ...decode, uri: '/cln.Node/Pay' }), /could be a request of/);
  await refused(t, decide(await stockRequest(bare)), /could be a request of/);
  const bound = await boundRequest({ ...bare, uri: '/cln.Node/Decode' });
  await refused(t, decide({ ...bound, uri: '/cln.Node/Pay' }), /the signature of \/cln.Node\/Pay/);
  const { bound: _dropped, ...stripped } = bound;
  await refused(t, decide({ ...stripped, uri: '/cln.Node/Pay' }), /could be a request of/);
});

const keysend: Asked = {
  device,
  uri: '/cln.Node/KeySend',
  fields: [
    [1, nodeId],
    [10, msat(5)],
  ],
};
/** One that lightningd makes up a payment hash for. */
const sending = (n: number): Purpose => ({
  ...paying,
  how: 'keysend',
  hash: toHex(new Uint8Array(32).fill(n)),
  payee: peer,
  amountMsat: 5n,
});

test('a request counts once, however it is presented again, to this signer and the next over the same state', async (t) => {
  const memory: Memory = {};
  const first = signer({}, memory);
  const request = await boundRequest(keysend);
  const { bound: _dropped, ...stripped } = request;
  await first.requests.show(request);
  t.truthy(await first.ask(sending(1)));
  t.truthy(await first.ask(sending(1)), 'an attempt of the same payment');
  t.false(await first.ask(sending(2)));
  await first.requests.show(request);
  await first.requests.show(stripped);
  t.false(await first.ask(sending(2)));
  t.deepEqual(first.reasons, ['shown again', 'shown again']);
  await first.stop();
  const second = signer({}, memory);
  await second.requests.show(request);
  t.false(await second.ask(sending(2)));
  t.truthy(await second.ask(sending(1)), 'what was allowed still is');
  second.now += 86_400_000;
  await second.requests.show(request);
  t.false(await second.ask(sending(1)));
  t.regex(second.reasons.join(), /ms ago/);
  await second.stop();
  const again = signer({}, memory);
  await again.requests.show(await boundRequest({ ...keysend, at: now + 1 }));
  t.truthy(await again.ask(sending(2)), 'asked for again by the client it is another request');
});

test('a request that is shown counts before what is asked next, and two at once count once', async (t) => {
  const { requests, ask } = signer();
  const request = await boundRequest(keysend);
  void requests.show(request);
  void requests.show(request);
  t.truthy(await ask(sending(1)));
  t.false(await ask(sending(2)));
});

test('a rune must be this device’s own, of this node, allow the method, and not be revoked', async (t) => {
  const request = await stockRequest(pay);
  const stolen = { ...request, rune: thief.rune() };
  await refused(t, decide(stolen), /does not allow it: pubkey=…/);
  const foreign = runeBytes(makeRune(new Secret(new Uint8Array(32).fill(8)), '0', 'gl0', []));
  await refused(t, decide({ ...request, rune: foreign }), /not a rune of this node/);
  await refused(t, decide({ ...request, rune: new Uint8Array() }), /expected at least 32 bytes/);
  const listing = device.rune([{ field: 'method', condition: '^', value: 'List' }]);
  await refused(t, decide({ ...request, rune: listing }), /does not allow it: method\^List/);
  await refused(t, decide(request, paying, { revokedRunes: new Set(['0']) }), /revoked/);
  const small = device.rune([{ field: 'amount', condition: '<', value: '250000000' }]);
  await refused(t, decide({ ...request, rune: small }), /does not allow it: amount</);
  const enough = device.rune([{ field: 'amount', condition: '<', value: '250000001' }]);
  t.truthy((await decide({ ...request, rune: enough })).consent);
});

test('a rune with a pace allows as many uses as that, across restarts', async (t) => {
  const memory: Memory = {};
  const paced = device.rune([{ field: 'per', condition: '=', value: '5min' }]);
  const first = signer({}, memory);
  await first.requests.show(await boundRequest({ ...keysend, rune: paced }));
  await first.stop();
  const second = signer({}, memory);
  second.now += 299_000;
  await second.requests.show(await boundRequest({ ...keysend, rune: paced, at: now + 1 }));
  t.regex(second.reasons.join(), /does not allow it: per=5min/);
  second.now += 1000;
  await second.requests.show(await boundRequest({ ...keysend, rune: paced, at: now + 2 }));
  t.is(second.reasons.length, 1);
});

test('a request serves for what it asks and not for more', async (t) => {
  const request = await stockRequest(pay);
  await refused(t, decide(request, { ...paying, amountMsat: 250_000_001n }));
  await refused(t, decide(request, { ...paying, hash: `ff${hash.slice(2)}` }));
  await refused(t, decide(request, { kind: 'spend', script, amountSat: 5n }));
});

test('where only signed URIs count, a stock request allows nothing', async (t) => {
  const strict = { stockRequests: false };
  await refused(t, decide(await stockRequest(pay), paying, strict), /expected a signature over the URI/);
  t.truthy((await decide(await boundRequest(pay), paying, strict)).consent);
});

test('a request of unknown fields allows nothing, even with its URI signed', async (t) => {
  const unknown = await boundRequest({ ...pay, fields: [...pay.fields, [99, 1]] });
  await refused(t, decide(unknown), /no request of \/cln.Node\/Pay as this signer knows it/);
});

test('bad requests do not keep a good one from being found', async (t) => {
  const { requests, ask } = signer();
  const good = await stockRequest(pay);
  void requests.show({ ...good, signature: new Uint8Array(64) });
  void requests.show(good);
  t.truthy(await ask());
});

test('one request for several outputs allows each of them, once', async (t) => {
  const other = 'bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3';
  const payments: Asked['fields'] = [
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
        [1, other],
        [2, msat(2000)],
      ],
    ],
  ];
  const { requests, ask } = signer();
  await requests.show(await boundRequest({ device, uri: '/cln.Node/MultiWithdraw', fields: payments }));
  const second = '00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262';
  t.true(
    await requests.would({ kind: 'spend', script, amountSat: 1n }, Math.floor(now / 1000)),
    'that uses nothing up',
  );
  t.true(await ask({ kind: 'spend', script, amountSat: 1n }));
  t.false(await requests.would({ kind: 'spend', script, amountSat: 1n }, Math.floor(now / 1000)));
  t.true(await ask({ kind: 'spend', script: second, amountSat: 2n }));
  t.false(await ask({ kind: 'spend', script, amountSat: 1n }));
});

test('an invoice request allows an invoice with its terms', async (t) => {
  const words = [...coffeeWords()];
  const content = readBolt11('lnbc2500u', words);
  const fields = (amount: number): Asked['fields'] => [
    [2, '1 cup coffee'],
    [3, 'label'],
    [7, 60],
    [10, [[1, msat(amount)]]],
  ];
  const asked = (amount: number): Asked => ({ device, uri: '/cln.Node/Invoice', fields: fields(amount) });
  const issuing: Purpose = { kind: 'issue', content };
  t.true((await decide(await boundRequest(asked(250_000_000)), issuing)).consent);
  t.false((await decide(await boundRequest(asked(250_000_001)), issuing)).consent);
});

/** What stands in the coffee invoice between its human part and its signature. */
function coffeeWords(): readonly number[] {
  const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
  const data = coffee.slice('lnbc2500u1'.length, -6);
  return [...data].map((letter) => alphabet.indexOf(letter)).slice(0, -104);
}

test('stock requests by which value leaves, as clients usually write them, are not mistaken for others', async (t) => {
  const usual: readonly (readonly [method: string, fields: Asked['fields'], purpose: Purpose])[] = [
    [
      'Pay',
      [
        [1, coffee],
        [13, msat(250_000_000)],
      ],
      paying,
    ],
    [
      'Xpay',
      [
        [1, coffee],
        [3, msat(5)],
      ],
      paying,
    ],
    ['KeySend', keysend.fields, sending(1)],
    [
      'Withdraw',
      [
        [1, to],
        [2, [[1, msat(5000)]]],
      ],
      { kind: 'spend', script, amountSat: 5n },
    ],
    [
      'FundChannel',
      [
        [1, [[1, msat(5000)]]],
        [9, nodeId],
      ],
      { kind: 'open', peer, amountSat: 5n },
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
        [2, fromHex(hash)],
      ],
      { ...paying, how: 'uninvoiced', amountMsat: 5n },
    ],
  ];
  for (const [method, fields, purpose] of usual) {
    const { consent, reasons } = await decide(
      await stockRequest({ device, uri: `/cln.Node/${method}`, fields }),
      purpose,
    );
    t.truthy(consent, `${method}: ${reasons.join()}`);
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
      bound: fc.option(fc.record({ signature: bytes, nonce: bytes }), { nil: undefined }),
    })
    .filter((each) => Object.entries(good).some(([name, value]) => each[name as keyof typeof each] !== value));
  await fc.assert(
    fc.asyncProperty(request, async (each) => {
      t.false((await decide(each)).consent);
    }),
    { numRuns: 200 },
  );
});
