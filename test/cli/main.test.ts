/** The CLI's edges: help, wrong words, wrong values, and what it says where something is not as it should be. */

import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createCertificates } from '../../cli/init.ts';
import { main } from '../../cli/main.ts';
import { utf8 } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';
import { newHsmSecret } from '../../signer/keys/hsm_secret.ts';
import { type Finished, keyhold, keyholdScript, said, start, temporaryDirectory } from './keyhold_process.ts';

/** Runs a command in this process, which is quicker; only one at a time, for what is printed is caught meanwhile. */
async function run(...args: readonly string[]): Promise<Finished> {
  const { log, error } = console;
  const printed = { stdout: '', stderr: '' };
  console.log = (text: string) => (printed.stdout += `${text}\n`);
  console.error = (text: string) => (printed.stderr += `${text}\n`);
  try {
    return { code: await main(args, new AbortController().signal), ...printed };
  } finally {
    Object.assign(console, { log, error });
  }
}

test.serial('every command explains itself, and the overview names it', async (t) => {
  const { code, stdout } = await run('--help');
  t.is(code, 0);
  const names = [...stdout.matchAll(/^ {2}([a-z]+(?: [a-z]+)?) {2,}\S.*\.$/gm)].map(([, name]) => name ?? '');
  t.true(names.length >= 10, stdout);
  for (const name of names) {
    const help = await run(...name.split(' '), '--help');
    t.is(help.code, 0);
    t.true(help.stdout.includes(`Usage: keyhold ${name} [options]`), help.stdout);
    t.regex(help.stdout, /^ {2}--\S/m);
  }
});

test('the executable hands on the exit code and the sentence', async (t) => {
  const [none, unknown] = await Promise.all([keyhold(t, []), keyhold(t, ['sign'])]);
  t.is(none.code, 2);
  t.regex(none.stdout, /Usage: keyhold COMMAND/);
  t.is(unknown.code, 2);
  t.is(unknown.stderr, 'keyhold: there is no command sign; see: keyhold --help\n');
});

/** What is wrong, the arguments, and what must be said. DIR is a folder with certificates. */
const mistakes: readonly (readonly [what: string, args: readonly string[], sentence: RegExp])[] = [
  ['an unknown command', ['sign'], /^keyhold: there is no command sign; see: keyhold --help$/m],
  ['an unknown option', ['host', '--port', '1'], /--port.*; see: keyhold host --help$/m],
  ['an option without its value', ['status', '--host'], /--host.*; see: keyhold status --help$/m],
  ['an operand where there is none', ['init', 'keys'], /keys.*; see: keyhold init --help$/m],
  [
    'days that are no number',
    ['init', '--dir', 'DIR/new', '--days', 'ten'],
    /--days: expected a whole number.*got ten$/m,
  ],
  ['no days', ['init', '--dir', 'DIR/new', '--days', '0'], /--days: expected a whole number of days, got 0$/m],
  ['a log level that is none', ['host', '--dir', 'DIR', '--log', 'loud'], /--log: expected one of debug, .*got loud$/m],
  ['a signer without a secret', ['signer', '--dir', 'DIR'], /--secret: expected the path of an hsm_secret/],
  [
    'a passphrase from no descriptor',
    ['signer', '--dir', 'DIR', '--secret', 'x', '--passphrase-fd', 'in'],
    /--passphrase-fd: .*got in$/m,
  ],
  [
    'a passphrase without a terminal',
    ['signer', '--dir', 'DIR', '--secret', 'x', '--passphrase'],
    /no terminal.*--passphrase-fd N$/m,
  ],
  [
    'a secret that is not there',
    ['signer', '--dir', 'DIR', '--secret', 'DIR/none'],
    /--secret: cannot read .*none \(ENOENT.*--create/,
  ],
  [
    'a status as somebody else',
    ['status', '--dir', 'DIR', '--as', 'host'],
    /--as: expected operator or signer, got host$/m,
  ],
  [
    'a folder without certificates',
    ['host', '--dir', 'DIR/none'],
    /cannot read .*ca\.cert\.pem .*run keyhold init, or name its folder/,
  ],
  [
    'a passphrase from a descriptor that is not open',
    ['signer', '--dir', 'DIR', '--secret', 'x', '--passphrase-fd', '999'],
    /--passphrase-fd: expected an open file descriptor, got 999 \(EBADF/,
  ],
  [
    'an authority that is none',
    ['init', '--dir', 'DIR/new', '--authority', 'DIR/none', '--node', 'savings'],
    /--authority: expected a folder with ca\.cert\.pem and ca\.key\.pem \(ENOENT/,
  ],
  [
    'a second certificate in one folder',
    ['init', '--dir', 'DIR', '--authority', 'DIR', '--node', 'savings'],
    /has certificates already: give --dir another folder/,
  ],
  [
    'a recovery without its secret',
    ['signer', 'recover', '--dir', 'DIR', '--secret', 'DIR/none'],
    /--secret: cannot read .*none \(ENOENT/,
  ],
  [
    'a signer that does not run',
    ['approvals', '--dir', 'DIR'],
    /no signer with a policy listens at .*state.owner\.sock .*--dir or --state/,
  ],
  ['nothing to replay', ['replay'], /expected at least one PATH; see: keyhold replay --help$/m],
  ['a folder with nothing to replay', ['replay', 'DIR'], /expected recordings in .*, found none$/m],
  ['a way that is none', ['replay', '--through', 'air', 'DIR'], /--through: expected inline or bridge, got air$/m],
];

test.serial('help COMMAND is COMMAND --help, and --version says what this is', async (t) => {
  t.deepEqual(await run('help', 'signer', 'recover'), await run('signer', 'recover', '-h'));
  t.regex((await run('--version')).stdout, /^keyhold \d+\.\d+\.\d+\n$/);
});

test.serial('no line of help is longer than a terminal of 125 columns shows', async (t) => {
  const { stdout } = await run('--help');
  for (const [, name = ''] of stdout.matchAll(/^ {2}([a-z]+(?: [a-z]+)?) {2,}\S.*\.$/gm)) {
    const help = await run(...name.split(' '), '--help');
    t.deepEqual(
      help.stdout.split('\n').filter(({ length }) => length > 125),
      [],
      name,
    );
  }
});

test.serial('every mistake gets a sentence and exit code 2', async (t) => {
  const dir = join(await temporaryDirectory(t), 'keys');
  await createCertificates(dir, 'node', [], 1);
  for (const [what, args, sentence] of mistakes) {
    const { code, stdout, stderr } = await run(...args.map((arg) => arg.replace('DIR', dir)));
    t.is(code, 2, what);
    t.regex(stderr, sentence, what);
    t.regex(stderr, /^keyhold: [^\n]+\n$/, `${what}: one line, no stack`);
    t.is(stdout, '', what);
  }
});

test.serial('init lays out certificates once, keys for their owner alone, and never writes over them', async (t) => {
  const dir = join(await temporaryDirectory(t), 'keys');
  const first = await run('init', '--dir', dir);
  t.is(first.code, 0, first.stderr);
  t.true(first.stdout.includes(`keyhold host --dir ${dir}`));
  for (const role of ['ca', 'host', 'signer', 'operator']) {
    t.is((await stat(join(dir, `${role}.key.pem`))).mode & 0o777, 0o600);
    t.regex(await readFile(join(dir, `${role}.cert.pem`), 'utf8'), /BEGIN CERTIFICATE/);
  }
  const before = await readFile(join(dir, 'ca.key.pem'), 'utf8');
  const second = await run('init', '--dir', dir);
  t.is(second.code, 2);
  t.regex(second.stderr, /has certificates already: give --dir another folder, or move that one away/);
  t.is(await readFile(join(dir, 'ca.key.pem'), 'utf8'), before);
});

test.serial('status shows a host process, the signer attached to it, and as JSON the same', async (t) => {
  const root = await temporaryDirectory(t);
  const dir = join(root, 'keys');
  await createCertificates(dir, 'home', [], 1);
  const listen = ['--socket', join(root, 'keyhold.sock'), '--listen', '127.0.0.1:0', '--log', 'info'];
  const host = start(t, keyholdScript, ['host', '--dir', dir, ...listen]);
  await said(host.child.stdout, host.stdout, '\n');
  const { listening }: { listening: number } = JSON.parse(host.stdout());
  const to = ['--dir', dir, '--host', `127.0.0.1:${listening}`];

  const empty = await run('status', ...to);
  t.is(empty.code, 0, empty.stderr);
  t.regex(empty.stdout, /^this host has no node yet/);

  const secret = join(root, 'hsm_secret');
  await writeFile(secret, new Uint8Array(32).fill(7), { mode: 0o400 });
  const signer = start(t, keyholdScript, ['signer', ...to, '--secret', secret, '--new-state', '--name', 'my desk']);
  await said(host.child.stderr, host.stderr, 'signer attached');
  const text = await run('status', ...to);
  const json = await run('status', ...to, '--as', 'signer', '--json');
  t.regex(text.stdout, /^node home\n {2}lightningd {2}not running.*\n {2}signer {6}my desk, keyhold \d.*, active/);
  t.like(JSON.parse(json.stdout), {
    0: { name: 'home', signers: { 0: { name: 'my desk', state: 'SIGNER_STATE_ACTIVE' } }, waiting: [] },
  });
  t.notRegex(json.stdout, /\$/);
  const unknown = await run('status', ...to, '--node', 'away');
  t.is(unknown.code, 1);
  t.regex(unknown.stderr, /this host has no node away/);

  for (const { child, finished } of [signer, host]) {
    child.kill('SIGTERM');
    t.is((await finished).code, 0);
  }
});

test.serial(
  'a host keeps its journal and the copies beside its certificates, alone, unless it is told otherwise',
  async (t) => {
    const root = await temporaryDirectory(t);
    const dir = join(root, 'keys');
    await createCertificates(dir, 'home', [], 1);
    const args = (socket: string, ...more: readonly string[]) => [
      'host',
      '--dir',
      dir,
      '--socket',
      join(root, socket),
      '--listen',
      '127.0.0.1:0',
      ...more,
    ];
    const without = start(t, keyholdScript, args('none.sock', '--no-journal', '--copies', join(root, 'none')));
    await said(without.child.stdout, without.stdout, '\n');
    await t.throwsAsync(stat(join(dir, 'journal')));
    const first = start(t, keyholdScript, args('first.sock'));
    await said(first.child.stdout, first.stdout, '\n');
    t.is((await stat(join(dir, 'journal'))).mode & 0o777, 0o700);
    t.is((await stat(join(dir, 'journal', 'acknowledged'))).mode & 0o777, 0o600);
    const second = await run(...args('second.sock'));
    t.is(second.code, 2);
    t.regex(
      second.stderr,
      /^keyhold: --journal: .*journal is open in another host .*one folder of --journal serves one host.*--no-journal/,
    );
    const copies = await run(...args('third.sock', '--journal', join(root, 'other')));
    t.is(copies.code, 2);
    t.regex(
      copies.stderr,
      /^keyhold: --copies: .*copies is open in another host .*one folder of --copies serves one host/,
    );
    const others = ['--journal', join(root, 'other'), '--copies', join(root, 'others')];
    const elsewhere = start(t, keyholdScript, args('third.sock', ...others));
    await said(elsewhere.child.stdout, elsewhere.stdout, '\n');
    t.true((await stat(join(root, 'other', 'acknowledged'))).isFile());
    first.child.kill('SIGKILL');
    await first.finished;
    const again = start(t, keyholdScript, args('first.sock'));
    await said(again.child.stdout, again.stdout, '\n');
    t.is((await run(...args('fourth.sock', '--journal', dir, '--no-journal'))).code, 2);
  },
);

test.serial('status says so where no host answers', async (t) => {
  const dir = join(await temporaryDirectory(t), 'keys');
  await createCertificates(dir, 'node', [], 1);
  const { code, stderr } = await run('status', '--dir', dir, '--host', '127.0.0.1:1');
  t.is(code, 1);
  t.is(
    stderr,
    'keyhold: nothing answers at 127.0.0.1:1 (connect ECONNREFUSED 127.0.0.1:1): ' +
      'is keyhold host running there, and is --host its address?\n',
  );
});

test.serial('a rune is made with the passphrase of the secret, and asks for it', async (t) => {
  const root = await temporaryDirectory(t);
  await writeFile(join(root, 'hsm_secret'), guarded, { mode: 0o400 });
  const args = ['rune', '--secret', join(root, 'hsm_secret'), `04${'ab'.repeat(64)}`];
  const { code, stderr } = await run(...args);
  t.is(code, 2);
  t.regex(stderr, /^keyhold: --secret: cannot open .*: it has a passphrase: give --passphrase or --passphrase-fd N\n$/);
  await writeFile(join(root, 'passphrase'), 'open sesame\n');
  const file = await open(join(root, 'passphrase'));
  t.teardown(() => file.close());
  t.regex((await run(...args, '--passphrase-fd', String(file.fd))).stdout, /^[\w-]{80,}\n$/);
});

/** What is wrong with the secret, its bytes, the passphrase given to the signer, and what it says. */
const words = newHsmSecret(new Secret(new Uint8Array(16)), undefined);
const guarded = newHsmSecret(new Secret(new Uint8Array(16)), new Secret(utf8('open sesame')));
const refused: readonly (readonly [what: string, secret: Uint8Array, passphrase: string, sentence: RegExp])[] = [
  [
    'a wrong passphrase',
    guarded,
    'open barley',
    /^keyhold: --secret: cannot open .*hsm_secret: this is not its passphrase/,
  ],
  ['a needless passphrase', words, 'open sesame', /^keyhold: --secret: cannot open .*: it has no passphrase: leave/],
  ['another file', utf8('my shopping list'), 'open sesame', /^keyhold: --secret: cannot open .*: it is no hsm_secret/],
];

/** A folder with certificates and this secret, and the arguments of a signer that finds no host. */
async function signerArguments(t: ExecutionContext, secret: Uint8Array, passphrase?: string): Promise<string[]> {
  const root = await temporaryDirectory(t);
  const dir = join(root, 'keys');
  await createCertificates(dir, 'node', [], 1);
  const path = join(root, 'hsm_secret');
  await writeFile(path, secret, { mode: 0o400 });
  const args = ['signer', '--dir', dir, '--host', '127.0.0.1:1', '--secret', path, '--new-state'];
  if (passphrase === undefined) return args;
  await writeFile(join(root, 'passphrase'), passphrase);
  const file = await open(join(root, 'passphrase'));
  t.teardown(() => file.close());
  return [...args, '--passphrase-fd', String(file.fd)];
}

test.serial('a signer whose secret does not open with the passphrase given says so and does not start', async (t) => {
  for (const [what, secret, passphrase, sentence] of refused) {
    const { code, stderr } = await run(...(await signerArguments(t, secret, passphrase)));
    t.is(code, 2, what);
    t.regex(stderr, sentence, what);
    t.false(stderr.includes(passphrase), `${what}: the passphrase is not shown`);
  }
});

test('a signer with a file that is no secret logs it; lightningd is told when it starts', async (t) => {
  const { child, stderr } = start(t, keyholdScript, await signerArguments(t, utf8('my shopping list')));
  await said(child.stderr, stderr, 'the link to the host broke');
  t.regex(stderr(), /"the hsm_secret does not open","problem":"cannot open .*hsm_secret: it is no hsm_secret/);
  t.false(stderr().includes('shopping'));
});

test('a signer says nothing of a secret whose passphrase lightningd may bring', async (t) => {
  const { child, stderr } = start(t, keyholdScript, await signerArguments(t, guarded));
  await said(child.stderr, stderr, 'the link to the host broke');
  t.false(stderr().includes('cannot open'), stderr());
});

test('a signer takes the right passphrase from a file descriptor', async (t) => {
  const args = [...(await signerArguments(t, guarded)), '--passphrase-fd', '3'];
  const { child, stderr } = start(t, keyholdScript, args, { fd3: 'open sesame\n' });
  await said(child.stderr, stderr, 'the link to the host broke');
  t.false(stderr().includes('cannot open'), stderr());
});
