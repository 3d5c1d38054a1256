/**
 * Recordings of a real lightning_hsmd, in three forms: a trace of one node with its manifest, single requests, and
 * hsm_secret files with what `init` answered. All become sessions: a secret, and requests with the replies to expect.
 */

import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { ClientIdentity } from '../proto/answer.ts';
import { fromHex, toHex } from '../proto/bytes.ts';
import { calls, lightningdCapabilities } from '../proto/hsmd/calls.ts';
import { encodeMessage, messageType } from '../proto/hsmd/message.ts';

/** A request and what hsmd did: reply bytes, 'silent' (no reply is due), or 'refused' (it closed the connection). */
export interface RecordedRequest {
  /** 0 is lightningd's own socket; others are numbered in the order they were opened. */
  readonly conn: number;
  readonly client: ClientIdentity;
  readonly bytes: Uint8Array;
  readonly expected: Uint8Array | 'silent' | 'refused';
}

/** What one hsmd process was asked from its start to its end. */
export interface RecordedSession {
  readonly name: string;
  readonly secretFile: Uint8Array;
  readonly requests: readonly RecordedRequest[];
}

/** lightningd itself. */
export const lightningd: ClientIdentity = {
  nodeId: new Uint8Array(33),
  dbid: 0n,
  capabilities: lightningdCapabilities,
};

interface TraceRow {
  readonly conn: number;
  readonly peer: string | null;
  readonly dbid: number;
  readonly caps: number;
  readonly req: string;
  readonly rep: string | null;
}

interface Manifest {
  readonly nodes: { readonly [node: string]: { readonly hsm_secret_file: string | null } };
}

interface SingleRequest {
  readonly name: string;
  readonly secret: string;
  readonly init: string;
  readonly init_rep: string;
  readonly client: { readonly peer: string; readonly dbid: number; readonly caps: number } | null;
  readonly req: string;
  readonly rep: string | null;
}

interface SecretCase {
  readonly name: string;
  readonly hsm_secret_file: string;
  readonly init: string;
  readonly init_rep: string | null;
  readonly derive_secret_test: string | null;
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
}

function expectation(rep: string | null): RecordedRequest['expected'] {
  if (rep === null) return 'refused';
  return rep === '' ? 'silent' : fromHex(rep);
}

function identity(client: {
  readonly peer: string | null;
  readonly dbid: number;
  readonly caps: number;
}): ClientIdentity {
  return {
    nodeId: fromHex(client.peer ?? '00'.repeat(33)),
    dbid: BigInt(client.dbid),
    capabilities: BigInt(client.caps),
  };
}

/** Every session under the given files and folders. */
export async function loadRecordings(paths: readonly string[]): Promise<readonly RecordedSession[]> {
  const sessions: RecordedSession[] = [];
  for (const path of paths) {
    if ((await stat(path)).isDirectory()) {
      const inside = (await readdir(path, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
      const wanted = inside.filter(
        (entry) =>
          entry.isDirectory() ||
          /\.jsonl(\.gz)?$/.test(entry.name) ||
          /^(requests|secrets)\.json(\.gz)?$/.test(entry.name),
      );
      sessions.push(...(await loadRecordings(wanted.map((entry) => join(path, entry.name)))));
    } else sessions.push(...(await loadFile(path)));
  }
  return sessions;
}

async function loadFile(path: string): Promise<readonly RecordedSession[]> {
  const text = await readText(path);
  if (/\.jsonl(\.gz)?$/.test(path)) return trace(path, text);
  const rows: unknown = JSON.parse(text);
  if (!Array.isArray(rows)) return [];
  const [first]: unknown[] = rows;
  if (typeof first !== 'object' || first === null)
    throw new Error(`${path}: expected recorded requests or secrets, found neither`);
  if ('hsm_secret_file' in first) return (rows as SecretCase[]).map(secretSession);
  if ('req' in first) return (rows as SingleRequest[]).map(singleSession);
  throw new Error(`${path}: expected recorded requests or secrets, found neither`);
}

/** A trace is as many sessions as the node was started; conn numbers begin again at each `init`. */
async function trace(path: string, text: string): Promise<readonly RecordedSession[]> {
  const node = basename(path).replace(/\.jsonl(\.gz)?$/, '');
  const manifest = JSON.parse(await readText(join(dirname(path), 'manifest.json'))) as Manifest;
  const secret = manifest.nodes[node]?.hsm_secret_file;
  if (secret === undefined || secret === null) throw new Error(`${path}: the manifest has no hsm_secret of ${node}`);
  const sessions: RecordedRequest[][] = [];
  let before: RecordedRequest[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const row = JSON.parse(line) as TraceRow;
    const client = row.conn === 0 ? lightningd : identity(row);
    const request = { conn: row.conn, client, bytes: fromHex(row.req), expected: expectation(row.rep) };
    const type = messageType(request.bytes);
    if (type === calls.devPreinit.request.number) before.push(request);
    else if (type === calls.init.request.number) {
      sessions.push([...before, request]);
      before = [];
    } else sessions.at(-1)?.push(request);
  }
  const name = `${basename(dirname(path))}/${node}`;
  return sessions.map((requests, start) => ({
    name: start === 0 ? name : `${name} (start ${start + 1})`,
    secretFile: fromHex(secret),
    requests,
  }));
}

function singleSession(single: SingleRequest): RecordedSession {
  const init = { conn: 0, client: lightningd, bytes: fromHex(single.init), expected: fromHex(single.init_rep) };
  const client = single.client === null ? lightningd : identity(single.client);
  const open: RecordedRequest[] =
    single.client === null
      ? []
      : [
          {
            conn: 0,
            client: lightningd,
            bytes: openClient(client),
            expected: encodeMessage(calls.clientHsmfd.reply, {}),
          },
        ];
  const request = {
    conn: single.client === null ? 0 : 1,
    client,
    bytes: fromHex(single.req),
    expected: expectation(single.rep),
  };
  return { name: `requests/${single.name}`, secretFile: fromHex(single.secret), requests: [init, ...open, request] };
}

/** The request by which lightningd opens a client's socket. */
export function openClient(client: ClientIdentity): Uint8Array {
  return encodeMessage(calls.clientHsmfd.request, {
    peerId: client.nodeId,
    dbid: client.dbid,
    permissions: client.capabilities,
  });
}

function secretSession(one: SecretCase): RecordedSession {
  const init = { conn: 0, client: lightningd, bytes: fromHex(one.init), expected: expectation(one.init_rep) };
  const info = new TextEncoder().encode('test');
  const derive = {
    conn: 0,
    client: lightningd,
    bytes: encodeMessage(calls.deriveSecret.request, { info }),
    expected: expectation(one.derive_secret_test),
  };
  return {
    name: `secrets/${one.name}`,
    secretFile: fromHex(one.hsm_secret_file),
    requests: one.derive_secret_test === null ? [init] : [init, derive],
  };
}

/** A short name for a client in reports. */
export function clientName(conn: number, client: ClientIdentity): string {
  return conn === 0 ? 'lightningd' : `${toHex(client.nodeId.subarray(0, 4))}…/${client.dbid}`;
}
