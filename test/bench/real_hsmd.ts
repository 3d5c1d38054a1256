/**
 * CPU time requests cost lightning_hsmd, its sockets included: the same requests again and again through
 * cli/hsmd_process.ts, and what Linux says of the process before and after.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HsmdProcess } from '../../cli/hsmd_process.ts';
import { openClient, type RecordedRequest, type RecordedSession } from '../../cli/recordings.ts';
import type { ClientIdentity } from '../../proto/answer.ts';
import { toHex } from '../../proto/bytes.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { messageType } from '../../proto/hsmd/message.ts';
import { Costs, nameOf } from './cost.ts';
import { cpuOf, onlyChild } from './processes.ts';

/** Measures every kind of request in the sessions, for so many seconds each. */
export async function realCosts(
  program: string,
  sessions: readonly RecordedSession[],
  seconds: number,
): Promise<Costs> {
  const costs = new Costs();
  for (const session of sessions) {
    const directory = await mkdtemp(join(tmpdir(), 'keyhold-bench-'));
    try {
      await writeFile(join(directory, 'hsm_secret'), session.secretFile, { mode: 0o400 });
      await using hsmd = new HsmdProcess({ program, args: ['--developer'], directory, clients: 20 });
      await measure(hsmd, session.requests, seconds, costs);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  return costs;
}

async function measure(
  hsmd: HsmdProcess,
  requests: readonly RecordedRequest[],
  seconds: number,
  costs: Costs,
): Promise<void> {
  const kinds = new Map<string, RecordedRequest[]>();
  for (const request of requests) {
    const name = nameOf(request);
    const type = messageType(request.bytes);
    if (name !== undefined) kinds.set(name, [...(kinds.get(name) ?? []), request]);
    else if (type === calls.devPreinit.request.number) hsmd.tell(request.bytes);
    else if (type === calls.init.request.number) await hsmd.ask(0, request.bytes);
  }
  const clients = await openClients(hsmd, requests);
  const pid = await onlyChild(hsmd.pid); // the helper that holds its sockets is between
  for (const [name, same] of kinds) {
    const before = await cpuOf(pid);
    const end = performance.now() + seconds * 1000;
    let count = 0;
    while (performance.now() < end) {
      for (const { conn, client, bytes } of same) {
        const reply = await hsmd.ask(conn === 0 ? 0 : (clients.get(clientKey(client)) ?? -1), bytes);
        if (reply === undefined) throw new Error(`lightning_hsmd refused ${name}`);
      }
      count += same.length;
    }
    costs.add(name, (await cpuOf(pid)) - before, count);
  }
}

/** hsmd closes a channel's client when a newer one comes, so each gets one that may do everything. */
async function openClients(
  hsmd: HsmdProcess,
  requests: readonly RecordedRequest[],
): Promise<ReadonlyMap<string, number>> {
  const clients = new Map<string, number>();
  for (const { conn, client } of requests) {
    if (conn === 0 || clients.has(clientKey(client))) continue;
    await hsmd.ask(0, openClient({ ...client, capabilities: everything }));
    clients.set(clientKey(client), hsmd.clients);
  }
  return clients;
}

const everything = 0x1ffn;

function clientKey({ nodeId, dbid }: ClientIdentity): string {
  return `${toHex(nodeId)}/${dbid}`;
}
