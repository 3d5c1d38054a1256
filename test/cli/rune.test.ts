/** `keyhold rune`: what it prints is a rune of the node, for the device and no other. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { base64urlnopad } from '@scure/base';
import test, { type ExecutionContext } from 'ava';
import { Secret } from '../../proto/secret.ts';
import { parseRune, RuneError } from '../../signer/approvals/rune.ts';
import { checkRune, type RuneFacts } from '../../signer/approvals/rune_check.ts';
import { tiny } from '../../signer/crypto/tiny.ts';
import { NodeKeys } from '../../signer/keys/node_keys.ts';
import { run } from './in_process.ts';
import { temporaryDirectory } from './keyhold_process.ts';

const pubkey = `04${'ab'.repeat(64)}`;
const seed = () => new Uint8Array(32).fill(7);
const { runes } = new NodeKeys(
  tiny((length) => new Uint8Array(length).fill(1)),
  { type: 0, seed: new Secret(seed()) },
  undefined,
);

async function secretPath(t: ExecutionContext): Promise<string> {
  const path = join(await temporaryDirectory(t), 'hsm_secret');
  await writeFile(path, seed(), { mode: 0o400 });
  return path;
}

test.serial('a rune is for one device, with the restrictions given', async (t) => {
  const secret = await secretPath(t);
  const made = await run(
    'rune',
    '--secret',
    secret,
    '--id',
    '5',
    pubkey.toUpperCase(),
    'method=pay|method=xpay',
    'amount<9',
  );
  t.is(made.code, 0, made.stderr);
  const rune = parseRune(base64urlnopad.decode(made.stdout.trim()));
  const facts: RuneFacts = { method: 'Pay', pubkey, time: 1, amountMsat: 8n, idle: 0 };
  const allows = (changes: Partial<RuneFacts>) => () => checkRune(rune, runes, new Set(), { ...facts, ...changes });
  t.is(allows({})(), '5');
  for (const changes of [{ method: 'Withdraw' }, { amountMsat: 9n }, { pubkey: `04${'cd'.repeat(64)}` }])
    t.throws(allows(changes), { instanceOf: RuneError });
});

test.serial('what is no key, no restriction, no id or no secret is said', async (t) => {
  const secret = await secretPath(t);
  const wrong: readonly (readonly [args: readonly string[], said: RegExp])[] = [
    [[pubkey], /--secret: expected/],
    [['--secret', secret], /PUBKEY: expected 65 bytes/],
    [['--secret', secret, `02${pubkey.slice(2)}`], /PUBKEY: expected 65 bytes/],
    [['--secret', secret, pubkey, 'pay'], /RESTRICTION: a restriction without a condition/],
    [['--secret', secret, pubkey, '=9'], /RESTRICTION: /],
    [['--secret', secret, '--id', 'a-b', pubkey], /--id: expected a number/],
  ];
  for (const [args, said] of wrong) {
    const { code, stderr, stdout } = await run('rune', ...args);
    t.is(code, 2, args.join(' '));
    t.regex(stderr, said);
    t.is(stdout, '');
  }
});
