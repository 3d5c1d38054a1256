/**
 * The owner's policy file (policy.toml) to settings, in two steps: what it says, which can be checked at once, and what
 * that means on a network, which is known only when lightningd says which one it is on.
 */

import { parse, TomlError } from 'smol-toml';
import type { Network } from '../chain/networks.ts';
import type { Secp } from '../crypto/secp.ts';
import { type Allow, allowedOn, allowNothing } from './allowlist.ts';
import { nearest } from './nearest.ts';
import { PolicyFileError } from './policy_file_error.ts';
import { rules, type Severity } from './rules.ts';
import { type Field, fields, keyOf, ordered, schema } from './schema.ts';
import { profiles, type Settings } from './settings.ts';

export type Profile = keyof typeof profiles;

export interface PolicyFile {
  /** `none` signs whatever it is asked, as lightning_hsmd does. */
  readonly policy: 'validating' | 'none';
  /** Undefined: what fits the network. */
  readonly profile: Profile | undefined;
  readonly values: Partial<Pick<Settings, Field>>;
  readonly allow: Allow;
  /** Ids of runes. */
  readonly revokedRunes: readonly string[];
  readonly severities: ReadonlyMap<string, Severity>;
}

/** What holds where there is no file. */
export const emptyFile: PolicyFile = {
  policy: 'validating',
  profile: undefined,
  values: {},
  allow: allowNothing,
  revokedRunes: [],
  severities: new Map(),
};

type Table = Readonly<Record<string, unknown>>;

const fieldOf = new Map(fields.map((field) => [keyOf(field), field]));
const tables = ['allow', 'severity'];
const runesKey = 'revoked_runes';
const topKeys = ['policy', 'profile', runesKey, ...fieldOf.keys()];
const listKeys = ['addresses', 'scripts', 'xpubs', 'nodes'] as const;
const allowKeys: readonly string[] = [...listKeys, 'xpub_addresses'];
const profileNames = Object.keys(profiles);
const mostXpubAddresses = 10_000n;

/** What a policy file says. @throws PolicyFileError */
export function readPolicyFile(text: string): PolicyFile {
  const top = tableOf(text);
  for (const key of Object.keys(top)) checkKey(key, [...topKeys, ...tables]);
  return {
    policy: choice(top, 'policy', ['validating', 'none']) === 'none' ? 'none' : 'validating',
    profile: profileOf(top),
    values: valuesOf(top),
    allow: allowOf(subtable(top, 'allow')),
    revokedRunes: textsOf(top, runesKey, runesKey),
    severities: severitiesOf(subtable(top, 'severity')),
  };
}

/** The profile that fits a network where the file names none. */
export function profileFor({ profile }: PolicyFile, { name }: Network): Profile {
  return profile ?? (name === 'bitcoin' ? 'mainnet' : 'test');
}

/** What a file means on a network. @throws PolicyFileError */
export function settingsFor(file: PolicyFile, network: Network, secp: Secp): Settings {
  const scalars: Settings = { ...profiles[profileFor(file, network)], ...file.values };
  for (const [low, high] of ordered)
    if (scalars[low] > scalars[high])
      throw new PolicyFileError(
        `expected ${keyOf(low)} (${scalars[low]}) to be no more than ${keyOf(high)} (${scalars[high]})`,
      );
  const revokedRunes = new Set(file.revokedRunes);
  return { ...scalars, ...allowedOn(file.allow, network, secp), revokedRunes, severities: file.severities };
}

function tableOf(text: string): Table {
  try {
    // Whole numbers as bigint: 2.1 quadrillion satoshi fit into a number, their millisatoshi do not.
    return parse(text, { integersAsBigInt: true, unsafeKeyBehaviour: 'throw' });
  } catch (error: unknown) {
    if (!(error instanceof TomlError)) throw error;
    const [what = 'not TOML'] = error.message.split('\n');
    throw new PolicyFileError(
      `line ${error.line}, column ${error.column}: ${what.replace(/^Invalid TOML document: /, '')}`,
    );
  }
}

/** What stands there, for a message. */
function found(value: unknown): string {
  if (typeof value === 'string') return `the text ${JSON.stringify(value)}`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a table or a date' : String(value);
}

function checkKey(key: string, known: readonly string[], table?: string): void {
  if (known.includes(key)) return;
  const name = table === undefined ? key : `${table}.${key}`;
  if (table !== undefined && topKeys.includes(key))
    throw new PolicyFileError(`${name}: expected ${key} above [${table}], at the top of the file`);
  if (table === undefined && allowKeys.includes(key)) throw new PolicyFileError(`${key}: expected it below [allow]`);
  const near = nearest(key, known);
  const field = near === undefined ? undefined : fieldOf.get(near);
  const unit = field === undefined ? '' : ` (${schema[field].unit})`;
  throw new PolicyFileError(`there is no setting ${name}${near === undefined ? '' : `: did you mean ${near}${unit}?`}`);
}

function subtable(top: Table, key: string): Table {
  const value = top[key] ?? {};
  if (typeof value !== 'object' || Array.isArray(value) || value instanceof Date)
    throw new PolicyFileError(`${key}: expected a table that begins with [${key}], got ${found(value)}`);
  return Object.fromEntries(Object.entries(value));
}

function choice(table: Table, key: string, allowed: readonly string[]): string | undefined {
  const value = table[key];
  if (value === undefined) return undefined;
  const chosen = allowed.find((each) => each === value);
  if (chosen === undefined)
    throw new PolicyFileError(
      `${key}: expected ${allowed.map((each) => `"${each}"`).join(' or ')}, got ${found(value)}`,
    );
  return chosen;
}

function profileOf(top: Table): Profile | undefined {
  const name = choice(top, 'profile', profileNames);
  return name === 'mainnet' || name === 'test' ? name : undefined;
}

function valuesOf(top: Table): PolicyFile['values'] {
  const values = Object.entries(top).flatMap(([key, value]) => {
    const field = fieldOf.get(key);
    if (field === undefined) return [];
    const { unit, expects } = schema[field];
    const read = schema[field].read(value);
    if (read === undefined) {
      const of = unit === 'true or false' ? '' : ` (${unit})`;
      throw new PolicyFileError(`${key}: expected ${expects}${of}, got ${found(value)}`);
    }
    return [[field, read] as const];
  });
  // Each row reads the type of its own field: the table in schema.ts is checked for that.
  return Object.fromEntries(values) as PolicyFile['values'];
}

function allowOf(table: Table): Allow {
  for (const key of Object.keys(table)) checkKey(key, allowKeys, 'allow');
  const lists = listKeys.map((key) => [key, textsOf(table, key, `allow.${key}`)] as const);
  const each = table['xpub_addresses'] ?? BigInt(allowNothing.xpubAddresses);
  if (typeof each !== 'bigint' || each < 1n || each > mostXpubAddresses)
    throw new PolicyFileError(
      `allow.xpub_addresses: expected a whole number from 1 to ${mostXpubAddresses}, got ${found(each)}`,
    );
  return { ...allowNothing, ...Object.fromEntries(lists), xpubAddresses: Number(each) };
}

function textsOf(table: Table, key: string, name: string): readonly string[] {
  const value = table[key] ?? [];
  if (!Array.isArray(value)) throw new PolicyFileError(`${name}: expected a list in brackets, got ${found(value)}`);
  return value.map((each: unknown, i) => {
    if (typeof each !== 'string')
      throw new PolicyFileError(`${name}[${i}]: expected a text in quotes, got ${found(each)}`);
    return each;
  });
}

function severitiesOf(table: Table): ReadonlyMap<string, Severity> {
  const tags = Object.keys(rules);
  const severities = new Map<string, Severity>();
  for (const prefix of Object.keys(table)) {
    if (prefix === '' || !tags.some((tag) => tag.startsWith(prefix))) {
      const near = nearest(prefix, tags);
      throw new PolicyFileError(
        `severity: no rule begins with ${JSON.stringify(prefix)}${near === undefined ? '' : `: did you mean ${near}?`}`,
      );
    }
    severities.set(prefix, choice(table, prefix, ['refuse', 'warn']) === 'warn' ? 'warn' : 'refuse');
  }
  return severities;
}
