/** Each rule is one row, one section of the docs, and at least one test that provokes it: nothing of it may be missing. */

import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { documentedTags, ruleSection } from '../../../cli/policy_docs.ts';
import { isTag, rules } from '../../../signer/policy/rules.ts';
import { fields, keyOf } from '../../../signer/policy/schema.ts';

const tags = Object.keys(rules);
const docs = readFileSync('docs/policy.md', 'utf8');
const compiled = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The titles of all tests of the policy, by file. */
async function titles(): Promise<ReadonlyMap<string, readonly string[]>> {
  const files = ['../policy/', '../attacks/', '../lightning/'].flatMap((folder) =>
    readdirSync(compiled(folder))
      .filter((name) => name.endsWith('.test.js') && name !== 'rules.test.js')
      .map((name) => compiled(`${folder}${name}`)),
  );
  const { stdout } = await promisify(execFile)(process.execPath, [compiled('titles.js'), ...files], {
    maxBuffer: 1 << 24,
  });
  const found: Readonly<Record<string, readonly string[]>> = JSON.parse(stdout);
  return new Map(Object.entries(found));
}

const allTitles = titles();
const ways = [', across restarts', ', with a second signer'];
const tagOf = (title: string) => /^policy-[a-z0-9-]+/.exec(title)?.[0];

test('every rule has a section in docs/policy.md, and every section a rule', (t) => {
  const sections = documentedTags(docs);
  t.deepEqual(
    tags.filter((tag) => !sections.includes(tag)),
    [],
    'rules without a section',
  );
  t.deepEqual(
    sections.filter((tag) => !isTag(tag)),
    [],
    'sections without a rule',
  );
  t.is(new Set(sections).size, sections.length, 'sections that are there twice');
});

test('every section says what the rule protects from, when it refuses and what allows it', (t) => {
  const short = tags.filter((tag) => Object.keys(ruleSection(docs, tag)).length < 3);
  t.deepEqual(short, []);
});

test('every rule has a test whose title begins with its tag', async (t) => {
  const provoked = new Set([...(await allTitles).values()].flat().map(tagOf));
  t.deepEqual(
    tags.filter((tag) => !provoked.has(tag)),
    [],
    'rules without a test',
  );
});

test('no title begins with a tag that is no rule', async (t) => {
  const unknown = [...(await allTitles)].flatMap(([file, own]) =>
    own.filter((title) => !isTag(tagOf(title) ?? tags[0] ?? '')).map((title) => `${file}: ${title}`),
  );
  t.deepEqual(unknown, []);
});

test('every attack is tried across restarts of the signer and with a second signer', async (t) => {
  const all = [...(await allTitles).values()].flat();
  const isTried = (number: number, way: string) =>
    all.some((title) => new RegExp(`\\battack ${number}[,:]`).test(title) && title.endsWith(way));
  const wanted = Array.from({ length: 14 }, (_, i) => ways.map((way) => [i + 1, way] as const)).flat();
  t.deepEqual(
    wanted.filter(([number, way]) => !isTried(number, way)),
    [],
  );
});

test('settings are called by their names in rules and docs', (t) => {
  const known = new Set([...fields.map(keyOf), 'xpub_addresses', 'node_id']);
  const suffix = /\b(?:max|min|auto|fee|onchain|payments|unlisted|ceiling|buried|zero)_[a-z]+(?:_[a-z]+)*\b/g;
  const sentences = Object.values(rules).map(({ holds }) => holds);
  const named = [docs, ...sentences].flatMap((text) => text.match(suffix) ?? []);
  t.true(named.length > 50);
  t.deepEqual([...new Set(named.filter((name) => !known.has(name)))], []);
});
