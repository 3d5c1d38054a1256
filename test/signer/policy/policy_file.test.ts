/** The owner's file: what it may say, what it comes to on a network, and how it is told what is wrong with it. */

import { readFileSync } from 'node:fs';
import { HDKey } from '@scure/bip32';
import test from 'ava';
import { toHex } from '../../../proto/bytes.ts';
import { Secret } from '../../../proto/secret.ts';
import { scriptOfAddress } from '../../../signer/approvals/address.ts';
import { p2tr, p2wpkh, tapTweak } from '../../../signer/bitcoin/script.ts';
import { type Network, networkNamed } from '../../../signer/chain/networks.ts';
import { noble } from '../../../signer/crypto/noble.ts';
import { emptyFile, readPolicyFile, settingsFor } from '../../../signer/policy/policy_file.ts';
import { PolicyFileError } from '../../../signer/policy/policy_file_error.ts';
import { examplePolicy, settingsTable } from '../../../signer/policy/policy_text.ts';
import { fields, keyOf, schema } from '../../../signer/policy/schema.ts';
import { profiles, severityOf } from '../../../signer/policy/settings.ts';
import { weakened } from '../../../signer/policy/weakened.ts';

function networkCalled(name: string): Network {
  const network = networkNamed(name);
  if (network === undefined) throw new Error(`no network ${name}`);
  return network;
}

const bitcoin = networkCalled('bitcoin');
const regtest = networkCalled('regtest');
const docs = readFileSync('docs/policy.md', 'utf8');

const settingsOf = (text: string, network = regtest) => settingsFor(readPolicyFile(text), network, noble);

test('without a word a file is the profile that fits the network', (t) => {
  t.deepEqual(settingsOf('', bitcoin), profiles.mainnet);
  t.deepEqual(settingsOf('', regtest), profiles.test);
  t.deepEqual(settingsOf('profile = "mainnet"', regtest), profiles.mainnet);
  t.deepEqual(readPolicyFile(''), emptyFile);
});

test('policy none is said, and the rest of the file is still checked', (t) => {
  t.is(readPolicyFile('policy = "none"\nmax_htlcs = 30').policy, 'none');
  t.throws(() => readPolicyFile('policy = "none"\nmax_htlc = 30'), { instanceOf: PolicyFileError });
});

test('the example with every key changes nothing, nor does it with every comment taken off', (t) => {
  t.deepEqual(settingsOf(examplePolicy(), bitcoin), profiles.mainnet);
  const said = examplePolicy().replace(/^# ([a-z_"-]+ = )/gm, '$1');
  for (const field of fields) t.true(said.includes(`\n${keyOf(field)} = `), field);
  const { severities, ...rest } = settingsOf(said, bitcoin);
  const { severities: _none, ...mainnet } = profiles.mainnet;
  t.deepEqual(rest, mainnet);
  t.deepEqual([...severities], [['policy-commitment-fee-range', 'warn']]);
});

test('the example in the docs is a file, and its table is the schema’s', (t) => {
  const [, example = ''] = /```toml\n([^`]*)```/.exec(docs) ?? [];
  const { maxChannelSat, autoPayMsat, feeBudgetPercent, allowedScripts, allowedNodes } = settingsOf(example, bitcoin);
  t.is(maxChannelSat, 20_000_000n);
  t.is(autoPayMsat, 5_000_000n);
  t.is(feeBudgetPercent, 0.5);
  t.is(allowedScripts.size, 1);
  t.is(allowedNodes.size, 1);
  for (const row of settingsTable()) t.true(docs.includes(`${row}\n`), row);
  t.is(docs.split('\n').filter((line) => /^\| `[a-z_]+` \| /.test(line)).length, fields.length);
});

test('every value may stand at its bounds and not beyond', (t) => {
  for (const field of fields) {
    const { expects, read } = schema[field];
    const [, least, most] = /from (\d+) to (\d+)$/.exec(expects) ?? [];
    if (least === undefined || most === undefined) continue;
    const sentence = { message: new RegExp(`^${keyOf(field)}: expected .* from ${least} to ${most} \\(.*\\), got `) };
    for (const within of [least, most]) {
      t.true(read(BigInt(within)) !== undefined, field);
      t.notThrows(() => readPolicyFile(`${keyOf(field)} = ${within}`));
    }
    t.throws(() => readPolicyFile(`${keyOf(field)} = ${BigInt(most) + 1n}`), sentence);
    t.throws(() => readPolicyFile(`${keyOf(field)} = -1`), sentence);
  }
});

/** What the file says, and what must be said of it. */
const mistakes: readonly (readonly [text: string, sentence: RegExp])[] = [
  [
    'max_channel_sat = "0.5 btc"',
    /^max_channel_sat: expected a whole number from .* \(satoshi\), got the text "0.5 btc"$/,
  ],
  ['max_channel_sat = 0.5', /^max_channel_sat: expected a whole number.*got 0.5$/],
  ['max_htlcs = [30]', /^max_htlcs: expected .* \(HTLCs\), got a list$/],
  ['zero_conf = "yes"', /^zero_conf: expected true or false, without quotes, got the text "yes"$/],
  ['fee_budget_percent = 101', /^fee_budget_percent: expected a number from 0 to 100 \(percent\), got 101$/],
  ['fee_budget_percent = nan', /^fee_budget_percent: expected a number/],
  [
    'payments_sat_per_day = 5',
    /^there is no setting payments_sat_per_day: did you mean payments_msat_per_day \(millisatoshi\)\?$/,
  ],
  ['max_channel_msat = 5', /^there is no setting max_channel_msat: did you mean max_channel_sat \(satoshi\)\?$/],
  ['xyzzy = 5', /^there is no setting xyzzy$/],
  ['[allow]\nmax_htlcs = 5', /^allow.max_htlcs: expected max_htlcs above \[allow\], at the top of the file$/],
  ['addresses = []', /^addresses: expected it below \[allow\]$/],
  ['[allow]\naddress = []', /^there is no setting allow.address: did you mean addresses\?$/],
  ['[allow]\naddresses = "bc1"', /^allow.addresses: expected a list in brackets, got the text "bc1"$/],
  ['[allow]\nnodes = [2]', /^allow.nodes\[0\]: expected a text in quotes, got 2$/],
  ['[allow]\nxpub_addresses = 0', /^allow.xpub_addresses: expected a whole number from 1 to 10000, got 0$/],
  ['allow = 1', /^allow: expected a table that begins with \[allow\], got 1$/],
  ['severity = 1979-05-27', /^severity: expected a table .*, got a table or a date$/],
  ['policy = "off"', /^policy: expected "validating" or "none", got the text "off"$/],
  ['profile = "testnet"', /^profile: expected "mainnet" or "test", got the text "testnet"$/],
  [
    '[severity]\n"policy-comitment-" = "warn"',
    /^severity: no rule begins with "policy-comitment-": did you mean policy-commitment-/,
  ],
  ['[severity]\n"" = "warn"', /^severity: no rule begins with ""/],
  ['[severity]\npolicy-init = "off"', /^policy-init: expected "refuse" or "warn", got the text "off"$/],
  ['max_htlcs = 5\nmax_htlcs = 6', /^line 2, column 1: /],
  ['max_htlcs =', /^line 1, column \d+: /],
  ['__proto__ = 1', /^line 1, column 1: .*unsafe property$/],
];

for (const [text, sentence] of mistakes)
  test(`a mistake is said with what was expected: ${JSON.stringify(text)}`, (t) => {
    const { message } = t.throws(() => readPolicyFile(text), { instanceOf: PolicyFileError });
    t.regex(message, sentence);
    t.false(message.includes('\n'));
  });

test('settings that contradict each other are refused, the profile’s among them', (t) => {
  const refused = (text: string, network: Network, message: RegExp) =>
    t.throws(() => settingsOf(text, network), { instanceOf: PolicyFileError, message });
  refused(
    'max_delay_blocks = 100',
    bitcoin,
    /^expected min_delay_blocks \(144\) to be no more than max_delay_blocks \(100\)$/,
  );
  t.is(settingsOf('max_delay_blocks = 100', regtest).maxDelayBlocks, 100);
  refused('max_feerate_perkw = 300000', regtest, /max_feerate_perkw \(300000\).*ceiling_feerate_perkw \(250000\)/);
  refused('auto_pay_msat = 1', regtest, /auto_pay_msat \(1\).*payments_msat_per_day \(0\)/);
});

/** Addresses of BIP 173 and BIP 350 and of Base58Check, with their networks. */
const addresses: readonly (readonly [address: string, network: string, script: string])[] = [
  ['BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4', 'bitcoin', '0014751e76e8199196d454941c45d1b3a323f1433bd6'],
  [
    'tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7',
    'signet',
    '00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262',
  ],
  [
    'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0',
    'bitcoin',
    '512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
  ],
  ['1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2', 'bitcoin', '76a91477bff20c60e522dfaa3350c39b030a5d004e839a88ac'],
  ['3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy', 'bitcoin', 'a914b472a266d0bd89c13706a4132ccfb16f7c3b9fcb87'],
];

test('addresses of the network become scripts, those of another one are refused', (t) => {
  for (const [address, name, script] of addresses) {
    const text = `[allow]\naddresses = ["${address}"]`;
    t.deepEqual([...settingsOf(text, networkCalled(name)).allowedScripts], [script]);
    t.throws(() => settingsOf(text, regtest), {
      instanceOf: PolicyFileError,
      message: /^allow.addresses\[0\]: expected an address of regtest/,
    });
  }
  const wrong = addresses[0]?.[0].replace('F3T4', 'F3T5');
  t.throws(() => settingsOf(`[allow]\naddresses = ["${wrong}"]`, bitcoin), {
    message: /expected an address of bitcoin/,
  });
});

test('scripts and node ids are read as hex, and a node id is a point', (t) => {
  const node = toHex(noble.publicKey(new Secret(new Uint8Array(32).fill(1))));
  const { allowedScripts, allowedNodes } = settingsOf(`[allow]\nscripts = ["6A00"]\nnodes = ["${node.toUpperCase()}"]`);
  t.deepEqual([...allowedScripts], ['6a00']);
  t.deepEqual([...allowedNodes], [node]);
  t.throws(() => settingsOf('[allow]\nscripts = ["6a0"]'), {
    message: /^allow.scripts\[0\]: expected a scriptPubKey in hex$/,
  });
  t.throws(() => settingsOf(`[allow]\nnodes = ["02${'00'.repeat(32)}"]`), { message: /^allow.nodes\[0\]: .*no point/ });
});

const account = HDKey.fromMasterSeed(new Uint8Array(16).fill(7)).derive("m/84'/0'/0'");

test('an extended public key allows the first addresses of both its chains', (t) => {
  const allow = (xpub: string, more = '') =>
    settingsOf(`[allow]\nxpubs = ["${xpub}"]\n${more}`, bitcoin).allowedScripts;
  const key = (path: string) => account.derive(path).publicKey ?? new Uint8Array();
  const scripts = allow(account.publicExtendedKey, 'xpub_addresses = 3');
  t.is(scripts.size, 2 * 3 * 4);
  for (const path of ['m/0/0', 'm/0/2', 'm/1/1']) {
    t.true(scripts.has(toHex(p2wpkh(key(path)))), path);
    const internal = key(path).subarray(1);
    const output = noble.addToPoint(Uint8Array.of(2, ...internal), tapTweak(internal));
    t.true(scripts.has(toHex(p2tr(output?.subarray(1) ?? internal))), path);
  }
  t.false(scripts.has(toHex(p2wpkh(key('m/0/3')))));
  t.is(allow(account.publicExtendedKey).size, 2 * 100 * 4);
});

test('BIP 84’s own example: the zpub allows its first address', (t) => {
  const zpub =
    'zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs';
  const { allowedScripts } = settingsOf(`[allow]\nxpubs = ["${zpub}"]\nxpub_addresses = 2`, bitcoin);
  t.is(allowedScripts.size, 4);
  for (const address of [
    'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu',
    'bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g',
    'bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el',
  ])
    t.true(allowedScripts.has(toHex(scriptOfAddress(address, bitcoin))), address);
});

test('a private key in the file is refused without being shown', (t) => {
  const secret = account.privateExtendedKey;
  const { message } = t.throws(() => settingsOf(`[allow]\nxpubs = ["${secret}"]`, bitcoin), {
    instanceOf: PolicyFileError,
  });
  t.regex(message, /^allow.xpubs\[0\]: expected an extended public key, got a private one/);
  t.false(message.includes(secret.slice(4, 20)));
  const other = t.throws(() => settingsOf(`[allow]\nxpubs = ["${account.publicExtendedKey}"]`, regtest));
  t.regex(other.message, /^allow.xpubs\[0\]: expected an extended public key of regtest \(tpub, upub or vpub\)$/);
});

test('the longest beginning of a tag decides its severity', (t) => {
  const settings = settingsOf('[severity]\n"policy-commitment-" = "warn"\npolicy-commitment-fee-range = "refuse"');
  t.is(severityOf(settings, 'policy-commitment-version', 'refuse'), 'warn');
  t.is(severityOf(settings, 'policy-commitment-fee-range', 'refuse'), 'refuse');
  t.is(severityOf(settings, 'policy-init', 'refuse'), 'refuse');
});

test('what weakens a policy is said, and nothing else', (t) => {
  const said = (text: string, network = bitcoin) => weakened(readPolicyFile(text), settingsOf(text, network), network);
  t.deepEqual(said(''), []);
  t.deepEqual(said('', regtest), []);
  t.deepEqual(said('max_channel_sat = 1\nmin_delay_blocks = 1000'), []);
  t.deepEqual(
    said('min_delay_blocks = 100\nzero_conf = true\n[severity]\npolicy-init = "warn"\n"policy-invoice-" = "refuse"'),
    [
      'policy-init only warns',
      'min_delay_blocks is 100, looser than the 144 of profile mainnet',
      'zero_conf is true, looser than the false of profile mainnet',
    ],
  );
  t.regex(said('profile = "test"')[0] ?? '', /^profile test on bitcoin, which has real money/);
  const limits = 'auto_pay_msat = 5\npayments_msat_per_day = 7\nonchain_sat_per_day = 9';
  t.is(said(limits).length, 3);
  t.deepEqual(
    weakened(readPolicyFile(limits), settingsOf(limits, bitcoin), bitcoin, 'local'),
    [],
    'where the caller may spend all, a limit weakens nothing',
  );
});
