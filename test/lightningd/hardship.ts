/**
 * `npm run test:lightningd -- hardship`: a real lightningd whose signer lies, stops, refuses, or is cut off, between two
 * others on regtest. Whatever happens the node goes on: it answers, and it pays, over the channel that it happened to and
 * over the other one.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bin } from '../../cli/bridge_processes.ts';
import { until } from '../../cli/regtest.ts';
import { Bitcoind } from '../../cli/regtest_bitcoind.ts';
import { Lightningd, type LightningdOptions } from '../../cli/regtest_lightningd.ts';
import { findPrograms } from '../../cli/regtest_programs.ts';
import type { AnswerAhead, ClientIdentity } from '../../proto/answer.ts';
import { toHex } from '../../proto/bytes.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import type { Call, Request } from '../../proto/hsmd/calls.ts';
import { HardSigner, type Hardship } from './hard_signer.ts';

interface World {
  readonly hard: HardSigner;
  /** The node whose keys are at the hard signer. */
  readonly node: Lightningd;
  /** Whose channel with it is in trouble. */
  readonly near: Lightningd;
  readonly other: Lightningd;
}

const msat = 2_000_000;
const sat = 5_000_000;
/** So that the other end has something to pay with, beyond its reserve. */
const firstMsat = 100_000_000;
/** How long all HTLCs that are offered wait for each other to be in one commitment, in milliseconds. */
const gatherMs = 1_500;
const htlcCount = 30;
/** Blocks until the last HTLC of a route runs out. */
const finalDelay = 40;
/** As many of them as surely come together. */
const most = 20;

async function tries(what: string, attempt: () => Promise<unknown>): Promise<void> {
  const signal = AbortSignal.timeout(120_000);
  await until(
    what,
    () =>
      attempt().then(
        () => true,
        async () => void (await sleep(500)),
      ),
    signal,
  );
}

let payments = 0;

interface Invoice {
  readonly bolt11: string;
  readonly payment_hash: string;
  readonly payment_secret: string;
}

/** Has `to` make invoices, and offers all of them to it at once over the channel with it; resolves when they are paid. */
async function offer(from: Lightningd, to: Lightningd, count: number, amount_msat = msat): Promise<void> {
  const { short_channel_id: channel } = await from.channel(to);
  const route = [{ amount_msat, id: to.id, delay: finalDelay, channel }];
  const invoices: Invoice[] = [];
  for (let i = 0; i < count; i++) {
    const params = { amount_msat, label: `payment ${++payments}`, description: 'hardship' };
    const invoice = await to.rpc<Invoice>('invoice', params);
    await from.rpc('preapproveinvoice', { bolt11: invoice.bolt11 });
    invoices.push(invoice);
  }
  await Promise.all(
    invoices.map((invoice) => from.rpc('sendpay', { route, ...hashes(invoice), bolt11: invoice.bolt11 })),
  );
  for (const { payment_hash } of invoices) await from.rpc('waitsendpay', { payment_hash, timeout: 100 });
}

const hashes = ({ payment_hash, payment_secret }: Invoice) => ({ payment_hash, payment_secret });

/** Whether a channel's daemons have met again, since one of them stopped. */
async function isConnected(node: Lightningd, near: Lightningd): Promise<boolean> {
  const { channels } = await node.rpc<{ readonly channels: readonly { readonly owner?: string }[] }>(
    'listpeerchannels',
    {
      id: near.id,
    },
  );
  return channels.some(({ owner }) => owner === 'channeld');
}

/** What an operator does where lightningd does not by itself: it keeps the connection of a subdaemon that died. */
async function reconnect(node: Lightningd, near: Lightningd): Promise<void> {
  await node.rpc('disconnect', { id: near.id, force: true }).catch(() => undefined);
  await node.rpc('connect', { id: near.id });
}

/** Answers, and pays over the other channel. */
async function goesOnElsewhere({ hard, node, other }: World): Promise<void> {
  hard.hardship = {};
  await node.rpc('getinfo');
  await tries('a payment over the other channel', () => offer(node, other, 1));
}

/** Pays over both channels, and is paid over the one that was in trouble. */
async function goesOn(world: World): Promise<void> {
  const { hard, node, near } = world;
  await goesOnElsewhere(world);
  await tries('a payment over the channel', async () => {
    if (!(await isConnected(node, near))) await reconnect(node, near);
    await offer(node, near, 1);
  });
  await tries('a payment back', () => offer(near, node, 1, msat / 2));
  await tries('the signer to have decided everything', async () => {
    if (hard.undecided > 0) throw new Error('not yet');
  });
}

/** Until the hardship has struck so often. */
const struck = (world: World, times = 1) =>
  tries('the hardship to strike', async () => {
    if (world.hard.times < times) throw new Error('not yet');
  });

const isOf = (node: Lightningd, { nodeId }: ClientIdentity) => toHex(nodeId) === node.id;

/** A signature with one bit turned: still well-formed, and wrong. */
function turned({ reply, ...answer }: AnswerAhead): AnswerAhead {
  const wrong = Uint8Array.from(reply);
  wrong[10] = (wrong[10] ?? 0) ^ 1;
  return { ...answer, reply: wrong };
}

/** Does something once, when a request of a kind comes. */
function once(
  hard: HardSigner,
  wanted: Call,
  when: (acknowledged: boolean) => boolean,
  act: () => void | Promise<void>,
) {
  return {
    before: (call: Call, acknowledged: boolean) => {
      if (call !== wanted || hard.times > 0 || !when(acknowledged)) return undefined;
      hard.times += 1;
      return act();
    },
  } satisfies Hardship;
}

/** Refuses a call in the channel in trouble, while payments go on over the other; then everything is as before. */
async function refuses(world: World, call: Call): Promise<void> {
  const { hard, near, node, other } = world;
  hard.hardship = { refuses: (request: Request, client) => request.call === call && isOf(near, client) };
  const refused = offer(node, near, 1).catch(() => undefined);
  await struck(world);
  await node.rpc('getinfo');
  await tries('a payment over the other channel', () => offer(node, other, 1));
  hard.hardship = {};
  await goesOn(world);
  await refused;
}

async function fails(what: string, attempt: Promise<unknown>): Promise<void> {
  const failed = await attempt.then(
    () => false,
    () => true,
  );
  if (!failed) throw new Error(`expected ${what} to be refused, and it went through`);
}

/**
 * channeld ends over a wrong signature, and lightningd forgets the commitment that it was for: the next one has the same
 * number and other HTLCs. Under the default policy that one is refused (policy-commitment-retry-same): of a signer that
 * lies to itself the node survives and every other channel, and with KEYHOLD_POLICY=none that channel too.
 */
const costsTheChannel: ReadonlySet<string> =
  process.env['KEYHOLD_POLICY'] === 'none' ? new Set() : new Set(['wrong signatures ahead']);

const hardships: { readonly [name: string]: (world: World) => Promise<void> } = {
  async 'a flood of answers ahead'({ hard, node, near }) {
    const flood = () =>
      Array.from({ length: 40 }, () => ({
        requestSha256: systemEntropy(32),
        reply: systemEntropy(60_000),
        stays: true,
      }));
    hard.hardship = {
      ahead(_call, answers) {
        hard.times += 1;
        return [...flood(), ...answers];
      },
    };
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 3; i++) await offer(node, near, 1);
    const grown = (process.memoryUsage().rss - before) / 1e6;
    console.log(`  ${hard.times} floods of 2.4 MB, host and signer together grew by ${Math.round(grown)} MB`);
    if (grown > 300) throw new Error('expected a bounded memory');
  },

  async 'another order than foreseen'(world) {
    const { hard } = world;
    hard.hardship = { ahead: (_call, answers) => answers.filter((_, i) => i % 3 > 0).reverse() };
    await offer(world.node, world.near, htlcCount);
  },

  async 'the link cut between an answer ahead and its use'(world) {
    const { hard } = world;
    hard.hardship = {
      ahead(call, answers) {
        if (call === 'signRemoteCommitmentTx' && answers.length >= most && hard.times === 0) {
          hard.times += 1;
          setTimeout(() => hard.cut(1_500), 13);
        }
        return answers;
      },
    };
    await offer(world.node, world.near, htlcCount);
    await struck(world);
  },

  async 'the link cut between an acknowledgement and the verdict'(world) {
    const { hard, node, near } = world;
    for (const call of ['validateCommitmentTx', 'validateRevocation'] as const) {
      hard.times = 0;
      hard.hardship = once(
        hard,
        call,
        (acknowledged) => acknowledged,
        () => hard.cut(1_500),
      );
      await offer(node, near, 1);
      await struck(world);
    }
  },

  async 'a signer that restarts in the middle of a commitment with 30 HTLCs'(world) {
    const { hard } = world;
    hard.hardship = {
      ...once(
        hard,
        'signRemoteHtlcTx',
        () => true,
        () => {
          void hard.restart();
          return new Promise<void>(() => {});
        },
      ),
      // The first ten only: the others are asked.
      ahead: (call, answers) =>
        call === 'signRemoteCommitmentTx' && answers.length >= most ? answers.slice(0, 10) : answers,
    };
    await offer(world.node, world.near, htlcCount);
    await struck(world);
  },

  async 'a signer that restarts between an acknowledgement and the verdict'(world) {
    const { hard, node, near } = world;
    hard.hardship = once(
      hard,
      'validateCommitmentTx',
      (acknowledged) => acknowledged,
      () => {
        void hard.restart();
        return new Promise<void>(() => {});
      },
    );
    await offer(node, near, 1);
    await struck(world);
  },

  async 'a refused withdrawal'({ hard, node }) {
    hard.hardship = { refuses: ({ call }) => call === 'signWithdrawal' };
    const { bech32 } = await node.rpc<{ readonly bech32: string }>('newaddr', { addresstype: 'bech32' });
    await fails('a withdrawal', node.rpc('withdraw', { destination: bech32, satoshi: 100_000 }));
  },

  async 'a refused invoice'({ hard, node, near }) {
    hard.hardship = { refuses: ({ call }) => call === 'preapproveInvoice' || call === 'preapproveInvoiceCheck' };
    const params = { amount_msat: msat, label: `payment ${++payments}`, description: 'unwanted' };
    const { bolt11 } = await near.rpc<{ readonly bolt11: string }>('invoice', params);
    await fails('a payment', node.rpc('pay', { bolt11 }));
  },

  'a refused commitment': (world) => refuses(world, 'signRemoteCommitmentTx'),
  'a refused revocation': (world) => refuses(world, 'revokeCommitmentTx'),

  async 'wrong signatures ahead'(world) {
    const { hard } = world;
    hard.hardship = {
      ahead(call, answers) {
        if (call !== 'signRemoteCommitmentTx' || answers.length === 0) return answers;
        hard.times += 1;
        return answers.map(turned);
      },
    };
    const paying = offer(world.node, world.near, 1).catch(() => undefined);
    await struck(world);
    hard.hardship = {};
    await paying;
  },
};

async function openWorld(folder: string, signal: AbortSignal) {
  const programs = await findPrograms(process.env);
  const opened: AsyncDisposable[] = [];
  const close = async () => {
    for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]();
  };
  const start = async (name: string, bitcoind: Bitcoind, more: Partial<LightningdOptions> = {}) => {
    const options = ['--dev-fast-reconnect', `--commit-time=${name === 'node' ? gatherMs : 10}`];
    const directory = join(folder, name);
    const started = await Lightningd.start({ name, programs, bitcoind, directory, options, ...more });
    opened.push(started);
    return started;
  };
  try {
    const hard = await HardSigner.open(join(folder, 'keyhold'));
    opened.push(hard);
    const bitcoind = await Bitcoind.start(programs, join(folder, 'bitcoind'), signal);
    opened.push(bitcoind);
    const node = await start('node', bitcoind, { hsmd: bin('keyhold-hsmd'), env: hard.env });
    const near = await start('near', bitcoind);
    const other = await start('other', bitcoind);
    await node.fund(3 * sat);
    await node.open(near, sat);
    await node.open(other, sat);
    await offer(node, near, 1, firstMsat);
    return { hard, node, near, other, [Symbol.asyncDispose]: close };
  } catch (error: unknown) {
    await close();
    throw error;
  }
}

/** Plays all of them, or those whose names have one of the words; resolves to how many failed. */
export async function playHardships(words: readonly string[]): Promise<number> {
  const chosen = Object.entries(hardships).filter(
    ([name]) => words.length === 0 || words.some((word) => name.includes(word)),
  );
  const folder = await mkdtemp(join(tmpdir(), 'kh-'));
  const stop = new AbortController();
  let failed = 0;
  {
    await using world = await openWorld(folder, stop.signal);
    await goesOn(world);
    for (const [name, strike] of chosen) {
      const began = performance.now();
      world.hard.times = 0;
      const problem = await strike(world)
        .then(() => (costsTheChannel.has(name) ? goesOnElsewhere(world) : goesOn(world)))
        .then(
          () => undefined,
          (error: unknown) => String(error),
        );
      const seconds = Math.round((performance.now() - began) / 1000);
      console.log(`hardship, ${name}: ${problem === undefined ? 'ok' : `FAILED: ${problem}`}, ${seconds} s`);
      if (problem !== undefined) failed += 1;
    }
  }
  if (failed === 0) await rm(folder, { recursive: true, force: true });
  else console.log(`logs and databases of the nodes: ${folder}`);
  console.log(`${chosen.length - failed} passed, ${failed} failed`);
  return failed;
}
