/** Rollback and recovery over the real link, with the real command: what a put-back disk, a put-back copy, or both lead to. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RecordedRequest } from '../../cli/recordings.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import type { Host } from '../../server/host.ts';
import { temporaryDirectory, until } from '../server/host_under_test.ts';
import { type Finished, keyholdScript } from './keyhold_process.ts';
import { attachTo, openHostAt, type Place, placeFor, RecordedNode } from './linked_signer.ts';

/** Starts `keyhold signer recover`; `shell` runs it in a shell after these commands. */
function begin(host: Host, { directory }: Place, more: readonly string[], shell?: string) {
  const files = ['--dir', directory, '--secret', join(directory, 'hsm_secret'), '--state', join(directory, 'state')];
  const args = [keyholdScript, 'signer', 'recover', ...files, '--host', `127.0.0.1:${host.port}`, ...more];
  const [program, given] =
    shell === undefined
      ? [process.execPath, args]
      : ['/bin/sh', ['-c', `${shell}; exec "$@"`, 'sh', process.execPath, ...args]];
  const child = spawn(program, given, { stdio: ['pipe', 'pipe', 'pipe'] });
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text) => {
      printed[name] += String(text);
    });
  const finish = async (typed: string): Promise<Finished> => {
    child.stdin.end(typed);
    const [code] = (await once(child, 'close')) as [number | null]; // 'close' is declared with any[]
    return { code, ...printed };
  };
  return { printed, finish };
}

/** Runs it; `typed` is what the owner answers. */
const recover = (host: Host, place: Place, typed: string, ...more: readonly string[]): Promise<Finished> =>
  begin(host, place, more).finish(typed);

/** The part of a recording up to the nth request of a kind, and the rest. */
function split(requests: readonly RecordedRequest[], call: string, nth: number) {
  let left = nth;
  const at = requests.findIndex(({ bytes }) => callOf(bytes) === call && left-- === 0);
  if (at === -1) throw new Error(`the recording has no ${nth + 1} of ${call}`);
  return [requests.slice(0, at), requests.slice(at)] as const;
}

async function copyVersion(host: Host): Promise<bigint> {
  return (await host.copyOf('alice'))?.version ?? 0n;
}

/** Waits until the copy is at a version. */
async function copyReaches(host: Host, reached: (version: bigint) => boolean, what: string): Promise<void> {
  const copy = await host.copyOf('alice');
  await until(() => reached(copy?.version ?? 0n), what);
}

/** Waits until the copy has not moved for a while: no update is on its way. */
async function settledCopy(host: Host): Promise<bigint> {
  for (let before = -1n; ; ) {
    const version = await copyVersion(host);
    if (version === before) return version;
    before = version;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const stateOf = ({ directory }: Place) => join(directory, 'state');

/**
 * A node that has come some way: the disk as it was early (`early`), then as it is now; what comes next of the
 * recording, and an early commitment of ours that is revoked by now.
 */
async function someWay(t: ExecutionContext) {
  const place = await placeFor(t, 'everyday/l1');
  const { requests } = place.session;
  const [first, rest] = split(requests, 'revokeCommitmentTx', 1);
  const [second, third] = split(rest, 'revokeCommitmentTx', 3);
  const host = await openHostAt(place);
  t.teardown(() => host[Symbol.asyncDispose]());
  const node = new RecordedNode(host);
  const early = join(place.directory, 'early');
  {
    await using _signer = await attachTo(host.port, place, { begin: true });
    await node.play(first);
    await settledCopy(host);
  }
  await cp(stateOf(place), early, { recursive: true, filter: (path) => !path.endsWith('.sock') });
  {
    await using _signer = await attachTo(host.port, place);
    await node.play(second);
    await settledCopy(host);
  }
  return { place, host, node, early, second, third: third.slice(0, 30) };
}

async function putBack({ directory }: Place, early: string): Promise<void> {
  await rm(join(directory, 'state'), { recursive: true });
  await cp(early, join(directory, 'state'), { recursive: true });
}

test('a disk that was put back is found out, nothing is signed with it, and the host’s copy recovers it', async (t) => {
  const { place, host, node, early, second, third } = await someWay(t);
  const version = await copyVersion(host);
  await putBack(place, early);
  const lines: string[] = [];
  const [old] = second;
  if (old === undefined) throw new Error('no request');
  {
    await using rolledBack = await attachTo(host.port, place, { log: (_level, message) => lines.push(message) });
    await until(() => lines.some((line) => line.includes('keyhold signer recover')), 'the owner is told');
    await t.throwsAsync(
      node.ask(old, AbortSignal.timeout(500)),
      { any: true, name: 'TimeoutError' },
      'through the host it waits',
    );
    const asked = await rolledBack.signer.handle(old.client, old.bytes);
    t.not(asked.kind, 'reply', 'asked directly it gives no signature');
    const [port] = host.node('alice').relay.signers.list();
    t.regex(port?.port.report?.problem ?? '', /put back to an earlier one.*keyhold signer recover/);
    const live = await recover(host, place, 'yes\n');
    t.is(live.code, 1);
    t.regex(live.stderr, /is open in another signer .*stop that one first/, 'nothing is replaced under a signer');
  }
  t.is(await copyVersion(host), version, 'the copy is untouched');

  t.is((await recover(host, place, '')).code, 1, 'without an answer nothing happens');
  const no = await recover(host, place, 'no\n');
  t.is(no.code, 1);
  t.regex(no.stdout, new RegExp(`version ${version}: 1 channels`));
  t.regex(no.stdout, /nothing was changed/);
  const yes = await recover(host, place, 'yes\n');
  t.is(yes.code, 0, yes.stderr);
  t.is((await readdir(stateOf(place))).filter((name) => name.startsWith('store.before-')).length, 1);
  await using _recovered = await attachTo(host.port, place);
  await t.notThrowsAsync(node.play(third), 'and the node goes on as if nothing had been');
});

test('a copy that was put back is brought up, and is refused at a recovery where the local state shows it', async (t) => {
  const { place, host, third } = await someWay(t);
  const version = await copyVersion(host);
  const copies = join(place.directory, 'copies');
  await host[Symbol.asyncDispose]();
  await cp(copies, `${copies}.early`, { recursive: true });
  const again = await openHostAt(place);
  t.teardown(() => again[Symbol.asyncDispose]());
  const nodeAgain = new RecordedNode(again);
  const [init, ...more] = [...place.session.requests.filter(({ bytes }) => callOf(bytes) === 'init'), ...third];
  if (init === undefined) throw new Error('no init');
  {
    await using _signer = await attachTo(again.port, place);
    await nodeAgain.play([init, ...more]);
    await copyReaches(again, (now) => now > version, 'the copy moves on');
    await settledCopy(again);
  }
  const newest = await copyVersion(again);
  await again[Symbol.asyncDispose]();
  await rm(copies, { recursive: true });
  await cp(`${copies}.early`, copies, { recursive: true });

  await using hostile = await openHostAt(place);
  const refused = await recover(hostile, place, 'yes\n');
  t.is(refused.code, 2);
  t.regex(refused.stderr, new RegExp(`copy is at version ${version}, but version ${newest} was reached`));
  const known = await recover(hostile, place, 'yes\n', '--at-least', `${newest + 5n}`);
  t.regex(known.stderr, new RegExp(`but version ${newest + 5n} was reached`));

  await using _signer = await attachTo(hostile.port, place);
  const nodeThen = new RecordedNode(hostile);
  await nodeThen.play([init]);
  await copyReaches(hostile, (now) => now === newest, 'the copy is brought up');
});

test('a lost disk is no start from zero; the copy is recovered', async (t) => {
  const { place, host, node, third } = await someWay(t);
  await rm(stateOf(place), { recursive: true });
  await t.throwsAsync(attachTo(host.port, place), { message: /no signer state in .*keyhold signer recover/ });
  const { code, stdout, stderr } = await recover(host, place, 'yes\n');
  t.is(code, 0, stderr);
  t.regex(stdout, /no state on this machine/);
  await using _signer = await attachTo(host.port, place);
  await t.notThrowsAsync(node.play(third));
});

test('a recovery that cannot write the new state leaves the old one, which shows what is too old', async (t) => {
  const { place, host, early } = await someWay(t);
  await putBack(place, early);
  const failed = await begin(host, place, [], 'ulimit -f 1').finish('yes\n');
  t.is(failed.code, 1, failed.stderr);
  t.regex(failed.stderr, /EFBIG/);
  const { stdout, code } = await recover(host, place, 'yes\n');
  t.regex(stdout, /the state on this machine\n {2}version \d/);
  t.is(code, 0);
});

test('no signer gets the state while its owner is asked, and it may not move on meanwhile', async (t) => {
  const { place, host, node, early, third } = await someWay(t);
  await putBack(place, early);
  const asked = begin(host, place, []);
  await until(() => asked.printed.stderr.includes('Type yes'), 'the owner is asked');
  await t.throwsAsync(attachTo(host.port, place), { message: /is open in another/ });
  t.is((await asked.finish('yes\n')).code, 0);
  await using _recovered = await attachTo(host.port, place);
  await t.notThrowsAsync(node.play(third));
});

test('a signer with an older state that takes over fails no request, and gives way to the one with the newest', async (t) => {
  const { place, host, node, third } = await someWay(t);
  const directory = await temporaryDirectory(t);
  await cp(place.directory, directory, { recursive: true, filter: (path) => !path.endsWith('.sock') });
  const older = { ...place, directory };
  await putBack(older, join(place.directory, 'state'));
  const active = await attachTo(host.port, place);
  await using _older = await attachTo(host.port, older);
  const { signers } = host.node('alice').relay;
  await until(() => signers.list().length === 2, 'both are attached');
  const [now, later] = [third.slice(0, 15), third.slice(15)];
  await node.play(now);
  await settledCopy(host);
  await active[Symbol.asyncDispose]();
  await until(() => /keyhold signer recover/.test(signers.list()[0]?.port.report?.problem ?? ''), 'it says why');
  t.true(signers.list()[0]?.active);
  const played = node.play(later);
  await using _again = await attachTo(host.port, place);
  await t.notThrowsAsync(played);
});

test('recovery with another secret, or at a host without a copy, says so and changes nothing', async (t) => {
  const { place, host } = await someWay(t);
  const other = await placeFor(t, 'everyday/l2');
  await cp(join(other.directory, 'hsm_secret'), join(place.directory, 'hsm_secret'));
  const foreign = await recover(host, place, 'yes\n');
  t.is(foreign.code, 2);
  t.regex(foreign.stderr, /cannot be used: the head at version \d+ was altered, or sealed by another node/);
  await using empty = await openHostAt(other);
  const none = await recover(empty, other, 'yes\n');
  t.is(none.code, 2);
  t.regex(none.stderr, /the host has no copy of this node’s state/);
});
