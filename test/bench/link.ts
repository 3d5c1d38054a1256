/**
 * What the way from lightningd to the signer costs: the round trip of a request that needs no cryptography through
 * stand-in, host, mutual TLS and signer; many at once; and how soon a stand-in that just started has its first answer.
 */

import type { HsmdProcess } from '../../cli/hsmd_process.ts';
import { openClient } from '../../cli/recordings.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { encodeMessage } from '../../proto/hsmd/message.ts';
import { Secret } from '../../proto/secret.ts';
import { onlyChild, residentMb } from './processes.ts';
import { initialise, onStage, type Stage } from './stage.ts';

const lanes = 16;
const starts = 9;
/** Every capability but lightningd's own. */
const everything = 0x1ffn;

/** Prints round trips, throughput, the start and the size of a stand-in. */
export async function link(roundTrips: number): Promise<void> {
  await onStage(async (stage) => {
    const peerId = stage.session.requests.find(({ conn }) => conn > 0)?.client.nodeId;
    if (peerId === undefined) throw new Error('the recording has no client');
    await startTimes(stage, peerId);
    await using shim = stage.shim();
    await initialise(shim, stage.session);
    const newChannel = encodeMessage(calls.newChannel.request, { peerId, dbid: 1n });
    await latency(shim, newChannel, roundTrips);
    const client = (dbid: bigint) => openClient({ nodeId: peerId, dbid, capabilities: everything });
    for (let i = 0; i < lanes; i++) await shim.ask(0, client(BigInt(1000 + i)));
    await throughput(shim, roundTrips * 2);
    const mb = await residentMb(await onlyChild(shim.pid));
    console.log(
      `memory of the stand-in then: ${mb.toFixed(2)} MB resident, target 1.5: ${mb <= 1.5 ? 'met' : 'missed'}`,
    );
  });
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.floor(sorted.length * q)] ?? 0;
}

/** From the start of the program: to the host's own reply, and to the signer's, who opens the key for it. */
async function startTimes(stage: Stage, peerId: Uint8Array): Promise<void> {
  const first: number[] = [];
  const opened: number[] = [];
  for (let i = 0; i <= starts; i++) {
    const from = performance.now();
    await using shim = stage.shim();
    await shim.ask(0, openClient({ nodeId: peerId, dbid: 1n, capabilities: everything }));
    const replied = performance.now();
    await initialise(shim, stage.session);
    if (i === 0) continue; // that one waited for the start of the signer
    first.push(replied - from);
    opened.push(performance.now() - replied);
  }
  console.log(
    `start of the stand-in: first reply after ${median(first)} ms; then the signer's to init after ${median(opened)} ms`,
  );
}

function median(times: readonly number[]): string {
  return quantile(
    [...times].sort((a, b) => a - b),
    0.5,
  ).toFixed(1);
}

async function latency(shim: HsmdProcess, request: Uint8Array, roundTrips: number): Promise<void> {
  const times: number[] = [];
  const warmUp = roundTrips / 4;
  for (let i = -warmUp; i < roundTrips; i++) {
    const from = performance.now();
    await shim.ask(0, request);
    if (i >= 0) times.push(performance.now() - from);
  }
  times.sort((a, b) => a - b);
  const p50 = quantile(times, 0.5);
  console.log(
    `one request at a time: p50 ${p50.toFixed(3)} ms, p95 ${quantile(times, 0.95).toFixed(3)} ms, target p50 1: ${p50 <= 1 ? 'met' : 'missed'}`,
  );
}

async function throughput(shim: HsmdProcess, total: number): Promise<void> {
  const perCommitmentSecret = new Secret(new Uint8Array(32));
  const request = encodeMessage(calls.validateRevocation.request, { revokeNum: 1n, perCommitmentSecret });
  const from = performance.now();
  const each = Math.ceil(total / lanes);
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      for (let i = 0; i < each; i++) await shim.ask(lane + 1, request);
    }),
  );
  const seconds = (performance.now() - from) / 1000;
  console.log(`${lanes} lanes at once: ${Math.round((each * lanes) / seconds)} requests a second`);
}
