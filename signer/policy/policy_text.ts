/** The policy file as people read it: an example with every key and its default, and the table of keys for the docs. */

import { allowNothing } from './allowlist.ts';
import { type Field, fields, keyOf, schema } from './schema.ts';
import { profiles } from './settings.ts';

/** What the lists below `[allow]` hold. */
export const allowMeans = {
  addresses: 'addresses of the network',
  scripts: 'scriptPubKeys in hex',
  xpubs: 'extended public keys of accounts: xpub, ypub, zpub, on test networks tpub, upub, vpub',
  xpub_addresses: 'how many addresses of each, receiving and change',
  nodes: 'node ids that may be paid without approval',
} as const;

/** 1_000_000 for a million: TOML allows it. */
export function grouped(value: bigint | number | boolean): string {
  const [whole = '', ...rest] = String(value).split('.');
  return [whole.replace(/\B(?=(\d{3})+$)/g, '_'), ...rest].join('.');
}

/** Profiles whose value differs from the first's, for people. */
function elsewhere(field: Field): string {
  const { mainnet, test } = profiles;
  return mainnet[field] === test[field] ? '' : `, in profile test ${grouped(test[field])}`;
}

/** A policy file that changes nothing: every key with its default, as a comment. */
export function examplePolicy(): string {
  return [
    '# "none" signs whatever it is asked, as lightning_hsmd does',
    '# policy = "validating"',
    '',
    '# where the values below start from: "mainnet" or "test" (default: what fits the network)',
    '# profile = "mainnet"',
    '',
    ...fields.flatMap((field) => {
      const { unit, expects, means } = schema[field];
      const range = unit === 'true or false' ? '' : `; ${unit}, ${expects}`;
      return [`# ${means}${range}${elsewhere(field)}`, `# ${keyOf(field)} = ${grouped(profiles.mainnet[field])}`];
    }),
    '# ids of runes (access tokens) that clients may not use any more',
    '# revoked_runes = []',
    '',
    '# where value may go without asking',
    '[allow]',
    ...Object.entries(allowMeans).flatMap(([key, means]) => [
      `# ${means}`,
      `# ${key} = ${key === 'xpub_addresses' ? allowNothing.xpubAddresses : '[]'}`,
    ]),
    '',
    '# rules that only warn, by tag or by its beginning; the longest that fits counts',
    '[severity]',
    '# "policy-commitment-fee-range" = "warn"',
    '',
  ].join('\n');
}

/** The rows of the table of settings in Markdown. */
export function settingsTable(): readonly string[] {
  return fields.map((field) => {
    const { unit, means } = schema[field];
    const { mainnet, test } = profiles;
    return `| \`${keyOf(field)}\` | ${unit} | ${grouped(mainnet[field])} | ${grouped(test[field])} | ${means} |`;
  });
}
