/**
 * Whether a rune allows a request. Fields known here: `method` (compared without regard to case, unlike Greenlight's own
 * signer, whose read-only runes match nothing), `pubkey` (the device's key in hex), `time` (seconds since 1970), `amount`
 * (the most that leaves, in msat; missing where there is none or no bound), and with `=` only `per` and `rate` (how often
 * runes of one id may be used). An alternative on any other field does not hold, `!` included: a restriction that is not
 * understood must not fall away. A comment (`#`) always holds.
 */

import type { Secret } from '../../proto/secret.ts';
import { type Alternative, isMadeWith, type Rune, RuneError } from './rune.ts';

export interface RuneFacts {
  /** The URI's last part. */
  readonly method: string;
  /** In hex. */
  readonly pubkey: string;
  /** Seconds since 1970. */
  readonly time: number;
  readonly amountMsat: bigint | undefined;
  /** Milliseconds since this rune (any with its id) was last used, infinite where never. */
  readonly idle: number;
}

/** The version in every rune of this derivation. */
export const runeVersion = 'gl0';

/** The rune's id. Throws RuneError unless it is ours, not revoked, bound to the device, and allows the request. */
export function checkRune(rune: Rune, secret: Secret, revoked: ReadonlySet<string>, facts: RuneFacts): string {
  if (!isMadeWith(secret, rune)) throw new RuneError('not a rune of this node');
  const { id, version, restrictions } = rune;
  if (id === undefined || version !== runeVersion)
    throw new RuneError(`expected a rune with an id of version ${runeVersion}`);
  if (revoked.has(id)) throw new RuneError(`the runes of id ${id} are revoked`);
  // "method=pay|pubkey=…" would let any device pay.
  const isBound = restrictions.some((one) =>
    one.every(({ field, condition }) => field === 'pubkey' && condition === '='),
  );
  if (!isBound) throw new RuneError('expected a restriction to a device by pubkey= alone');
  const fields: RuneFields = {
    method: facts.method.toLowerCase(),
    pubkey: facts.pubkey,
    time: `${facts.time}`,
    amount: facts.amountMsat === undefined ? undefined : `${facts.amountMsat}`,
  };
  for (const restriction of restrictions)
    if (!restriction.some((one) => isPaced(one, facts.idle) || holds(one, fields)))
      throw new RuneError(`does not allow it: ${restriction.map(describe).join(' or ')}`);
  return id;
}

/** Fields by name; undefined is known, but missing here. */
export type RuneFields = Readonly<Record<string, string | undefined>>;

/** Whether an alternative holds. */
export function holds({ field, condition, value }: Alternative, fields: RuneFields): boolean {
  if (condition === '#') return true;
  if (!Object.hasOwn(fields, field)) return false;
  const present = fields[field];
  if (present === undefined || condition === '!') return present === undefined && condition === '!';
  const wanted = field === 'method' ? value.toLowerCase() : value;
  switch (condition) {
    case '=':
      return present === wanted;
    case '/':
      return present !== wanted;
    case '^':
      return present.startsWith(wanted);
    case '$':
      return present.endsWith(wanted);
    case '~':
      return present.includes(wanted);
    case '{':
      return present < wanted;
    case '}':
      return present > wanted;
    case '<':
    case '>': {
      const [a, b] = [integer(present), integer(wanted)];
      return a !== undefined && b !== undefined && (condition === '<' ? a < b : a > b);
    }
  }
}

function integer(text: string): bigint | undefined {
  return /^-?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
}

const units: Readonly<Record<string, number>> = {
  '': 1000,
  sec: 1000,
  min: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  msec: 1,
  usec: 1e-3,
  nsec: 1e-6,
};

/** `per=5min`: five minutes between uses; `rate=2`: two uses a minute. */
function isPaced({ field, condition, value }: Alternative, idle: number): boolean {
  if (condition !== '=') return false;
  if (field === 'per') {
    const [, count, unit = ''] = /^(\d{1,9})(day|hour|min|[mun]?sec)?$/.exec(value) ?? [];
    return count !== undefined && idle >= Number(count) * (units[unit] ?? Number.POSITIVE_INFINITY);
  }
  return field === 'rate' && /^[1-9]\d{0,8}$/.test(value) && idle >= 60_000 / Number(value);
}

function describe({ field, condition, value }: Alternative): string {
  return `${field}${condition}${field === 'pubkey' ? '…' : value}`;
}
