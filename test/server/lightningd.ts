/** Stands where lightningd stands: starts the stand-in for its hsmd and speaks to it on the sockets lightningd would have. */

import { type ChildProcess, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { concat, utf8 } from '../../proto/bytes.ts';
import { ShimConnection, type ShimEvent } from '../../server/shim/connection.ts';

const root = new URL('../../../', import.meta.url);

const { PATH, KEYHOLD_TEST_SHIM } = process.env;

/** The program under test. KEYHOLD_TEST_SHIM names another build of it, with a tool in front if need be. */
export const shim: readonly [string, ...string[]] = programOf(
  KEYHOLD_TEST_SHIM ?? fileURLToPath(new URL('bin/keyhold-hsmd', root)),
);

function programOf(command: string): [string, ...string[]] {
  const [program = '', ...args] = command.split(' ');
  return [program, ...args];
}

const passFds = fileURLToPath(new URL('bin/keyhold-pass-fds', root));
export const inlineShim = fileURLToPath(new URL('bin/keyhold-hsmd-inline', root));

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'keyhold-'));
}

/** One socket, read only when asked to. Messages have a u32 length before them. */
export class Wire {
  readonly socket: Duplex;
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #unread: Uint8Array = new Uint8Array();

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.on('error', () => socket.destroy());
  }

  raw(...parts: readonly Uint8Array[]): void {
    this.socket.write(concat(...parts));
  }

  send(message: Uint8Array): void {
    this.raw(length(message.length), message);
  }

  /** The next `count` bytes; fewer at the end. */
  async bytes(count: number): Promise<Uint8Array> {
    const chunks = [this.#unread];
    let have = this.#unread.length;
    while (have < count) {
      this.#chunks ??= this.socket[Symbol.asyncIterator]();
      const { value, done } = await this.#chunks.next().catch(() => ({ value: undefined, done: true }));
      if (done || value === undefined) break;
      chunks.push(value);
      have += value.length;
    }
    const all = concat(...chunks);
    this.#unread = all.subarray(count);
    return all.subarray(0, count);
  }

  async message(): Promise<Uint8Array> {
    const header = await this.bytes(4);
    if (header.length < 4) throw new Error('expected a message, found the end of the socket');
    return this.bytes(new DataView(header.buffer, header.byteOffset).getUint32(0));
  }

  async ask(message: Uint8Array): Promise<Uint8Array> {
    this.send(message);
    return this.message();
  }

  /** Whether the other side closes without another byte. */
  async ends(): Promise<boolean> {
    return (await this.bytes(1)).length === 0;
  }

  close(): void {
    this.socket.destroy();
  }
}

export interface Lightningd {
  readonly directory: string;
  readonly child: ChildProcess;
  readonly request: Wire;
  readonly status: Wire;
  /** What is passed on the request socket, in order; made in advance. */
  readonly clients: readonly Wire[];
  /** What the stand-in printed so far. */
  readonly stderr: () => string;
  readonly exit: Promise<number | null>;
}

export interface Options {
  readonly directory?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly clients?: number;
}

/** Starts the stand-in in a directory of its own. It is killed with the test. */
export function startLightningd(t: ExecutionContext, options: Options = {}): Lightningd {
  const directory = options.directory ?? temporaryDirectory();
  const sockets = 2 + (options.clients ?? 0);
  const child = spawn(passFds, [...(options.command ?? shim), ...(options.args ?? [])], {
    cwd: directory,
    env: { PATH, ...options.env },
    stdio: ['ignore', 'inherit', 'pipe', ...Array.from({ length: sockets }, () => 'pipe' as const)],
  });
  let printed = '';
  child.stderr?.on('data', (text) => {
    printed += String(text);
  });
  const exit = once(child, 'close').then(([code]) => code as number | null); // 'close' is declared with any[]
  const wires = child.stdio.slice(3).map((socket) => new Wire(socket as Socket)); // 'pipe' makes sockets of them
  const [request, status, ...clients] = wires;
  if (request === undefined || status === undefined) throw new Error('the child has no sockets');
  t.teardown(async () => {
    for (const wire of wires) wire.close();
    child.kill();
    await exit;
    rmSync(directory, { recursive: true, force: true });
  });
  return { directory, child, request, status, clients, stderr: () => printed, exit };
}

/** Stands where the host stands: every stand-in that connects is handed out in turn. */
export class FakeHost {
  readonly #server: Server;
  readonly #abort = new AbortController();
  readonly #incoming: AsyncIterableIterator<unknown[]>;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    this.#incoming = on(server, 'connection', { signal: this.#abort.signal });
    server.on('connection', (socket: Socket) => this.#sockets.add(socket));
  }

  static async listen(t: ExecutionContext, path: string): Promise<FakeHost> {
    const server = createServer();
    const host = new FakeHost(server);
    server.listen(path);
    await once(server, 'listening');
    t.teardown(() => host.stop());
    return host;
  }

  async socket(): Promise<Socket> {
    const next = await this.#incoming.next();
    return next.value[0] as Socket; // what 'connection' is emitted with
  }

  async shim(): Promise<Attached> {
    const connection = await ShimConnection.open(await this.socket(), this.#abort.signal);
    if (connection === undefined) throw new Error('the stand-in went away before its hello');
    return { connection, next: eventsOf(connection) };
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }
}

export interface Attached {
  readonly connection: ShimConnection;
  /** The next event as text, such as `request 0 hello` or `closed 3`; `gone` at the end. */
  readonly next: () => Promise<string>;
}

function eventsOf(connection: ShimConnection): () => Promise<string> {
  const events = connection.events();
  return async () => {
    const { value, done } = await events.next();
    return done ? 'gone' : describe(value);
  };
}

function describe(event: ShimEvent): string {
  return event.kind === 'closed' ? `closed ${event.conn}` : `request ${event.conn} ${text(event.message)}`;
}

export const bytes = utf8;

export function text(message: Uint8Array): string {
  return new TextDecoder().decode(message);
}

/** A u32. */
export function length(count: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, count);
  return out;
}

/** Bytes that look random and are the same every time. */
export function noise(count: number, seed = 1): Uint8Array {
  const out = new Uint8Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[i] = state >>> 24;
  }
  return out;
}
