import test from 'ava';
import { Secret } from '../../../proto/secret.ts';
import { type Condition, makeRune, type Restriction, RuneError } from '../../../signer/approvals/rune.ts';
import { checkRune, type RuneFacts } from '../../../signer/approvals/rune_check.ts';
import { secret } from './clients.ts';

const pubkey = '04abcdef';
const facts: RuneFacts = { method: 'Pay', pubkey, time: 1000, amountMsat: 5000n, idle: 0 };
const device: Restriction = [{ field: 'pubkey', condition: '=', value: pubkey }];

function restriction(text: string): Restriction {
  return text.split('|').map((one) => {
    const [, field = '', condition = '', value = ''] = /^([\w ]*)([^\w ])(.*)$/.exec(one) ?? [];
    return { field, condition: condition as Condition, value };
  });
}

/** What a rune with these restrictions besides the device's is refused for. */
function problem(restrictions: readonly string[], changes: Partial<RuneFacts> = {}): string | undefined {
  const rune = makeRune(secret, '5', 'gl0', [device, ...restrictions.map(restriction)]);
  try {
    checkRune(rune, secret, new Set(['4']), { ...facts, ...changes });
    return undefined;
  } catch (error: unknown) {
    return error instanceof RuneError ? error.message : String(error);
  }
}

const allows: readonly (readonly [restriction: string, allowed: boolean, changes?: Partial<RuneFacts>])[] = [
  ['method=pay', true],
  ['method=Pay', true],
  ['method=keysend', false],
  ['method^Get|method^List', true, { method: 'ListPays' }],
  ['method^Get|method^List', false],
  ['method/Pay', false],
  ['time<1001', true],
  ['time<1000', false],
  ['time>999', true],
  ['amount<5001', true],
  ['amount<5000', false],
  ['amount<5001', false, { amountMsat: undefined }],
  ['amount!', true, { amountMsat: undefined }],
  ['amount!', false],
  ['pnameamount_msat<5', false],
  ['pnameamount_msat!', false],
  ['constructor!', false],
  ['unknown=1|method=pay', true],
  ['a comment#', true],
  ['pubkey!', false],
  ['method!', false],
  ['per=5sec', false],
  ['per=5sec', true, { idle: 5000 }],
  ['per=5sec', false, { idle: 4999 }],
  ['per=5', true, { idle: 5000 }],
  ['per=1day', true, { idle: Number.POSITIVE_INFINITY }],
  ['per=1week', false, { idle: Number.POSITIVE_INFINITY }],
  ['per<5', false, { idle: 1 }],
  ['rate=2', true, { idle: 30_000 }],
  ['rate=2', false, { idle: 29_999 }],
  ['rate=0', false, { idle: Number.POSITIVE_INFINITY }],
];

for (const [text, allowed, changes = {}] of allows) {
  const shown = Object.entries(changes)
    .map(([name, value]) => `, ${name} ${value}`)
    .join('');
  test(`rune ${text} ${allowed ? 'allows' : 'refuses'}${shown || ' a pay of 5000 msat'}`, (t) => {
    t.is(problem([text], changes) === undefined, allowed);
  });
}

test('a rune of another node, without an id, of another version, or revoked is refused', (t) => {
  const check =
    (rune: Parameters<typeof checkRune>[0], revoked = new Set<string>()) =>
    () =>
      checkRune(rune, secret, revoked, facts);
  const rune = makeRune(secret, '5', 'gl0', [device]);
  t.notThrows(check(rune));
  t.throws(check(makeRune(new Secret(new Uint8Array(32).fill(8)), '5', 'gl0', [device])), {
    instanceOf: RuneError,
    message: /not a rune of this node/,
  });
  t.throws(check(makeRune(secret, '5', 'x', [device])), { instanceOf: RuneError, message: /version gl0/ });
  t.throws(check(rune, new Set(['5'])), { instanceOf: RuneError, message: /revoked/ });
});

test('a rune must be bound to one device, with no way around it', (t) => {
  const rune = (...restrictions: Restriction[]) => makeRune(secret, '5', 'gl0', restrictions);
  const refused = (...restrictions: Restriction[]) =>
    t.throws(() => checkRune(rune(...restrictions), secret, new Set(), facts), { instanceOf: RuneError });
  refused();
  refused([...device, { field: 'method', condition: '=', value: 'pay' }]);
  refused([{ field: 'pubkey', condition: '^', value: '04' }]);
  refused([{ field: 'pubkey', condition: '=', value: '04abcdee' }]);
  t.notThrows(() =>
    checkRune(rune([{ field: 'pubkey', condition: '=', value: '00' }, ...device]), secret, new Set(), facts),
  );
});
