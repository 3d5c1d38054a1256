/** `keyhold policy`: what a file comes to, what a rule is about; and recordings judged by a policy. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { rules } from '../../signer/policy/rules.ts';
import { fields, keyOf } from '../../signer/policy/schema.ts';
import { run } from './in_process.ts';
import { temporaryDirectory } from './keyhold_process.ts';

const traces = fileURLToPath(new URL('../../../test/vectors/hsmd/traces', import.meta.url));

async function fileWith(t: ExecutionContext, text: string): Promise<string> {
  const path = join(await temporaryDirectory(t), 'policy.toml');
  await writeFile(path, text);
  return path;
}

const policy = (...args: readonly string[]) => run('policy', ...args);

test.serial('check prints every setting in words, what differs, and what weakens the policy', async (t) => {
  const path = await fileWith(
    t,
    'max_channel_sat = 5_000_000\nmin_delay_blocks = 72\n[severity]\n"policy-htlc-" = "warn"',
  );
  const { code, stdout } = await policy('check', path);
  t.is(code, 0);
  for (const field of fields) t.regex(stdout, new RegExp(`^  ${keyOf(field)} `, 'm'));
  t.regex(stdout, /^validating, profile mainnet, for bitcoin$/m);
  t.regex(stdout, /max_channel_sat .*: 5_000_000 satoshi, the profile has 1_000_000_000$/m);
  const [, weaker = ''] = stdout.split('weaker than it could be:\n');
  t.regex(weaker, /^ {2}policy-htlc-version only warns$/m);
  t.regex(weaker, /^ {2}min_delay_blocks is 72, looser than the 144 of profile mainnet$/m);
  t.false(weaker.includes('max_channel_sat'));
});

test.serial('check gives the same to programs, for the network that is named', async (t) => {
  const path = await fileWith(t, '[allow]\naddresses = ["bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"]');
  const { code, stdout } = await policy('check', path, '--network', 'regtest', '--json');
  t.is(code, 0);
  const said: unknown = JSON.parse(stdout);
  t.like(said, {
    policy: 'validating',
    network: 'regtest',
    profile: 'test',
    min_delay_blocks: 4,
    zero_conf: true,
    warnings: [],
  });
  t.like(said, { allow: { scripts: ['0014751e76e8199196d454941c45d1b3a323f1433bd6'] }, max_channel_sat: '1000000000' });
  const elsewhere = await policy('check', path);
  t.is(elsewhere.code, 2);
  t.regex(
    elsewhere.stderr,
    /^keyhold: .*policy.toml: on bitcoin: allow.addresses\[0\]: expected an address of bitcoin/,
  );
});

test.serial('check says loudly that policy none signs everything', async (t) => {
  const { code, stdout } = await policy('check', await fileWith(t, 'policy = "none"'));
  t.is(code, 0);
  t.regex(stdout, /^policy = none: this signer signs whatever it is asked/);
});

test.serial('check refuses a file that does not say what can be done', async (t) => {
  const { code, stdout, stderr } = await policy('check', await fileWith(t, 'max_channels_sat = 5'));
  t.is(code, 2);
  t.is(stdout, '');
  t.regex(
    stderr,
    /^keyhold: .*policy.toml: there is no setting max_channels_sat: did you mean max_channel_sat \(satoshi\)\?\n$/,
  );
  const missing = await policy('check', '/nonexistent/policy.toml');
  t.is(missing.code, 2);
  t.regex(missing.stderr, /^keyhold: cannot read the policy file: ENOENT/);
});

test.serial('explain says what a rule is about and what to do when it refuses', async (t) => {
  const { code, stdout } = await policy('explain', 'policy-routing-cltv-delta');
  t.is(code, 0);
  t.regex(stdout, /^policy-routing-cltv-delta: a forwarded HTLC leaves us time/);
  t.regex(stdout, /^severity: refuse/m);
  t.regex(stdout, /^guards: sign_remote_commitment_tx, validate_commitment_tx$/m);
  for (const label of ['protects from', 'refuses when', 'to allow it'])
    t.regex(stdout, new RegExp(`^${label}: \\S`, 'm'));
  const json: unknown = JSON.parse((await policy('explain', 'routing-cltv-delta', '--json')).stdout);
  t.like(json, { tag: 'policy-routing-cltv-delta', severity: 'refuse' });
  const unknown = await policy('explain', 'routing-cltv-deltas');
  t.is(unknown.code, 2);
  t.regex(unknown.stderr, /did you mean policy-routing-cltv-delta\?; see: keyhold policy rules$/m);
});

test.serial('rules lists every rule, example prints every key', async (t) => {
  const { stdout } = await policy('rules');
  for (const tag of Object.keys(rules)) t.regex(stdout, new RegExp(`^${tag}  `, 'm'));
  const list: unknown = JSON.parse((await policy('rules', '--json')).stdout);
  t.is(Array.isArray(list) ? list.length : 0, Object.keys(rules).length);
  const example = await policy('example');
  for (const field of fields) t.true(example.stdout.includes(`# ${keyOf(field)} = `));
});

test.serial('what it cannot do is said with what it can', async (t) => {
  for (const args of [[], ['check'], ['explain'], ['rules', 'x'], ['change', 'x'], ['check', 'a', 'b']]) {
    const { code, stderr } = await policy(...args);
    t.is(code, 2, args.join(' '));
    t.regex(stderr, /^keyhold: policy: (expected check FILE, explain RULE|there is no change)/, args.join(' '));
  }
  const { stderr } = await policy('check', 'x', '--network', 'mainnet');
  t.regex(stderr, /^keyhold: --network: expected bitcoin, testnet, testnet4, signet, regtest, got mainnet$/m);
});

test.serial('replay under a policy: an honest node with restarts gets the same bytes, as one node', async (t) => {
  const path = await fileWith(t, '');
  const { code, stdout } = await run('replay', '--policy', path, join(traces, 'everyday/l1.jsonl.gz'));
  t.regex(stdout, /^\d+ requests, \d+ equal, 0 different$/m, stdout);
  t.is(code, 0);
});

test.serial('replay under a policy: what has to differ is said in words and not held against it', async (t) => {
  const path = await fileWith(t, '');
  const { code, stdout } = await run(
    'replay',
    '--policy',
    path,
    join(traces, 'penalty'),
    join(traces, 'splice_busy'),
    join(traces, 'splice'),
  );
  t.regex(stdout, /^not held against it, \d+ times: penalty\/l1 cheats from row 112 on/m);
  t.regex(stdout, /^not held against it, 1 times: splice_busy\/l1 asks in row 203 for a commitment that it revoked/m);
  t.regex(stdout, /^not held against it, \d+ times: a splice is asked for before its new funding is safe/m);
  t.regex(stdout, /^\d+ requests, \d+ equal, 0 different, \d+ as they must be$/m);
  t.is(code, 0);
});

test.serial('replay under a policy: a refusal is a difference, said with its rule', async (t) => {
  const path = await fileWith(t, 'max_channel_sat = 1000');
  const { code, stdout } = await run('replay', '--policy', path, join(traces, 'zero_conf'));
  t.is(code, 1);
  t.regex(
    stdout,
    /the real hsmd answers, this one refuses by policy-funding-max: must hold: .*found: value \d+ sat, most 1000 sat$/m,
  );
  const warns = await fileWith(t, 'max_channel_sat = 1000\n[severity]\npolicy-funding-max = "warn"');
  t.is((await run('replay', '--policy', warns, join(traces, 'zero_conf'))).code, 0);
});

test.serial('replay takes no policy through the executables', async (t) => {
  const path = await fileWith(t, '');
  const { code, stderr } = await run('replay', '--policy', path, '--through', 'inline', traces);
  t.is(code, 2);
  t.regex(stderr, /--policy: expected none with --through/);
});
