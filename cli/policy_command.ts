/** `keyhold policy`: what a policy file means, and what each rule is about. */

import { readFile } from 'node:fs/promises';
import { systemEntropy } from '../proto/entropy.ts';
import { hsmdName } from '../proto/hsmd/calls.ts';
import { type Network, networkNamed, networks } from '../signer/chain/networks.ts';
import { backend } from '../signer/node/backends.ts';
import { nearest } from '../signer/policy/nearest.ts';
import { type PolicyFile, profileFor, settingsFor } from '../signer/policy/policy_file.ts';
import { PolicyFileError } from '../signer/policy/policy_file_error.ts';
import { examplePolicy, grouped } from '../signer/policy/policy_text.ts';
import { isTag, type Rule, rules, type Tag } from '../signer/policy/rules.ts';
import { fields, keyOf, schema } from '../signer/policy/schema.ts';
import { profiles, type Settings, severityOf } from '../signer/policy/settings.ts';
import { weakened } from '../signer/policy/weakened.ts';
import { command, UsageError } from './command.ts';
import { ruleSection } from './policy_docs.ts';
import { readPolicy, withoutPolicy } from './policy_of.ts';

const table: { readonly [tag: string]: Rule } = rules;
const plain = (_key: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value);

export const policy = command({
  name: 'policy',
  summary: 'Check a policy file, explain a rule, list the rules, print an example.',
  operands: 'check FILE | explain RULE | rules | example',
  explanation:
    'check prints the settings that FILE makes, and what in it weakens the policy. explain says what a rule is about and\n' +
    'what to do when it refuses. example prints a policy file with every key and its default.',
  options: {
    network: { value: 'NAME', means: `for check: ${networks.map(({ name }) => name).join(', ')}`, default: 'bitcoin' },
    json: { means: 'print JSON, for programs' },
  },
  async run(given) {
    const [what, operand, ...rest] = given.operands;
    const needsOperand = what === 'check' || what === 'explain';
    if (what === undefined || rest.length > 0 || needsOperand !== (operand !== undefined))
      throw new UsageError('policy: expected check FILE, explain RULE, rules or example; see: keyhold policy --help');
    const json = given.has('json');
    if (what === 'check') console.log(await checked(operand ?? '', networkOf(given.option('network')), json));
    else if (what === 'explain') console.log(await explained(operand ?? '', json));
    else if (what === 'rules') console.log(json ? JSON.stringify(rulesJson(), undefined, 2) : listed());
    else if (what === 'example') console.log(examplePolicy());
    else throw new UsageError(`policy: there is no ${what}; see: keyhold policy --help`);
    return 0;
  },
});

function networkOf(name = ''): Network {
  const network = networkNamed(name);
  if (network === undefined)
    throw new UsageError(`--network: expected ${networks.map((each) => each.name).join(', ')}, got ${name}`);
  return network;
}

async function checked(path: string, network: Network, json: boolean): Promise<string> {
  const secp = backend(undefined, systemEntropy);
  const file = await readPolicy(path, secp);
  if (file.policy === 'none')
    return json ? JSON.stringify({ policy: 'none', warnings: [withoutPolicy] }, undefined, 2) : withoutPolicy;
  try {
    const settings = settingsFor(file, network, secp);
    const warnings = weakened(file, settings, network);
    return json ? settingsJson(file, settings, network, warnings) : inWords(file, settings, network, warnings);
  } catch (error: unknown) {
    if (error instanceof PolicyFileError) throw new UsageError(`${path}: on ${network.name}: ${error.message}`);
    throw error;
  }
}

function settingsJson(file: PolicyFile, settings: Settings, network: Network, warnings: readonly string[]): string {
  const profile = profileFor(file, network);
  const values = Object.fromEntries(fields.map((field) => [keyOf(field), settings[field]]));
  const allow = { scripts: [...settings.allowedScripts], nodes: [...settings.allowedNodes] };
  const severity = Object.fromEntries(settings.severities);
  return JSON.stringify(
    { policy: 'validating', network: network.name, profile, ...values, allow, severity, warnings },
    plain,
    2,
  );
}

function inWords(file: PolicyFile, settings: Settings, network: Network, warnings: readonly string[]): string {
  const profile = profileFor(file, network);
  const width = Math.max(...fields.map((field) => keyOf(field).length));
  const values = fields.map((field) => {
    const { unit, means } = schema[field];
    const usual = profiles[profile][field];
    const changed = settings[field] === usual ? '' : `, the profile has ${grouped(usual)}`;
    const value = unit === 'true or false' ? String(settings[field]) : `${grouped(settings[field])} ${unit}`;
    return `  ${keyOf(field).padEnd(width)}  ${means}: ${value}${changed}`;
  });
  return [
    `validating, profile ${profile}, for ${network.name}`,
    ...values,
    `value may go without asking to ${settings.allowedScripts.size} scripts and ${settings.allowedNodes.size} nodes`,
    ...(warnings.length > 0
      ? ['weaker than it could be:', ...warnings.map((warning) => `  ${warning}`)]
      : ['nothing weakens it']),
  ].join('\n');
}

function rulesJson(): unknown {
  return Object.entries(table).map(([tag, { severity, holds, guards }]) => ({
    tag,
    severity,
    holds,
    guards: guards.map(hsmdName),
  }));
}

function listed(): string {
  const width = Math.max(...Object.keys(table).map((tag) => tag.length)) + 2;
  return Object.entries(table)
    .map(([tag, { severity, holds }]) => `${tag.padEnd(width)}${severity === 'warn' ? '(warns) ' : ''}${holds}`)
    .join('\n');
}

async function explained(given: string, json: boolean): Promise<string> {
  const tag = tagOf(given);
  const { severity, holds, guards }: Rule = rules[tag];
  const section = ruleSection(
    await readFile(new URL('../../docs/policy.md', import.meta.url), 'utf8').catch(() => ''),
    tag,
  );
  if (json) {
    const said = Object.fromEntries(
      Object.entries(section).map(([label, text]) => [label.toLowerCase().replaceAll(' ', '_'), text]),
    );
    return JSON.stringify({ tag, severity, holds, guards: guards.map(hsmdName), ...said }, undefined, 2);
  }
  return [
    `${tag}: ${holds}.`,
    `severity: ${severityOf(profiles.mainnet, tag, severity)} (policy.toml may say otherwise below [severity])`,
    `guards: ${guards.map(hsmdName).join(', ')}`,
    ...Object.entries(section).map(([label, text]) => `${label.toLowerCase()}: ${text}`),
  ].join('\n');
}

function tagOf(given: string): Tag {
  const tag = given.startsWith('policy-') ? given : `policy-${given}`;
  if (isTag(tag)) return tag;
  const near = nearest(tag, Object.keys(table));
  throw new UsageError(
    `there is no rule ${given}${near === undefined ? '' : `: did you mean ${near}?`}; see: keyhold policy rules`,
  );
}
