/**
 * Sits where lightningd sits: starts an hsmd, real or ours, and speaks to it on the sockets lightningd would have. Node
 * can neither give a child a socketpair for its stdin nor receive a descriptor, so a small helper stands between.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { concat } from '../proto/bytes.ts';
import { calls } from '../proto/hsmd/calls.ts';
import { messageType } from '../proto/hsmd/message.ts';

const { PATH } = process.env;
const helper = fileURLToPath(new URL('../../bin/keyhold-pass-fds', import.meta.url));
/** Sockets for clients must exist before the child does. */
const mostClients = 300;

/** Messages on one socket, each behind its u32 length. */
class Wire {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #unread: Uint8Array = new Uint8Array();

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => socket.destroy());
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  send(message: Uint8Array): void {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, message.length);
    this.#socket.write(concat(length, message));
  }

  /** The next message, or undefined where the other side closed. */
  async receive(): Promise<Uint8Array | undefined> {
    const header = await this.take(4);
    return header && this.take(new DataView(header.buffer, header.byteOffset).getUint32(0));
  }

  /** The next bytes, whatever they are. */
  async take(length: number): Promise<Uint8Array | undefined> {
    while (this.#unread.length < length) {
      const { value, done } = await this.#chunks.next().catch(() => ({ value: undefined, done: true }));
      if (done || value === undefined) return undefined;
      this.#unread = this.#unread.length === 0 ? value : concat(this.#unread, value);
    }
    const taken = this.#unread.subarray(0, length);
    this.#unread = this.#unread.subarray(length);
    return taken;
  }

  close(): void {
    this.#socket.destroy();
  }
}

export interface HsmdOptions {
  readonly program: string;
  readonly args?: readonly string[];
  /** The working directory: lightningd's network directory, where hsmd looks for hsm_secret. */
  readonly directory: string;
  readonly env?: Readonly<Record<string, string>>;
  /** How many clients it may be asked for; 300 if not given. */
  readonly clients?: number;
  /** Told of each message on the status socket (fd 0). */
  readonly onStatus?: (message: Uint8Array) => void;
}

export class HsmdProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  readonly #main: Wire;
  readonly #sockets: readonly Socket[];
  readonly #clients: Wire[] = [];
  #closed = false;

  constructor({ program, args = [], directory, env = {}, clients = mostClients, onStatus }: HsmdOptions) {
    this.#child = spawn(helper, [program, ...args], {
      cwd: directory,
      env: { PATH, ...env },
      stdio: ['ignore', 'ignore', 'inherit', ...Array.from({ length: 2 + clients }, () => 'pipe' as const)],
    });
    this.#exit = once(this.#child, 'exit');
    // stdio entries made by 'pipe' behind fd 2 are sockets
    const [main, status, ...sockets] = this.#child.stdio.slice(3) as Socket[];
    if (main === undefined || status === undefined) throw new Error('the child has no sockets');
    this.#main = new Wire(main);
    this.#sockets = sockets;
    for (const socket of sockets) socket.pause().on('error', () => socket.destroy());
    void watchStatus(new Wire(status), onStatus);
  }

  /** Whether it can be asked: not once it closed lightningd's own socket, which comes before its exit. */
  get running(): boolean {
    return !this.#closed && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Clients opened so far; the next one has this number, plus one. */
  get clients(): number {
    return this.#clients.length;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Asks on a socket (0 is lightningd's own); undefined where it is closed instead of answered. */
  async ask(conn: number, message: Uint8Array): Promise<Uint8Array | undefined> {
    const wire = conn === 0 ? this.#main : this.#clients[conn - 1];
    if (wire === undefined) return undefined;
    wire.send(message);
    const reply = await wire.receive();
    if (reply === undefined && conn === 0) this.#closed = true;
    if (reply !== undefined && messageType(reply) === calls.clientHsmfd.reply.number) {
      await wire.take(1); // the NUL byte that carried the descriptor
      this.#opened();
    }
    return reply;
  }

  /** Sends what has no reply. */
  tell(message: Uint8Array): void {
    this.#main.send(message);
  }

  #opened(): void {
    const socket = this.#sockets[this.#clients.length];
    if (socket === undefined) throw new Error(`no more than ${this.#sockets.length} clients`);
    this.#clients.push(new Wire(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#main.close();
    for (const socket of this.#sockets) socket.destroy();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.#exit;
    clearTimeout(timer);
  }
}

async function watchStatus(wire: Wire, onStatus: HsmdOptions['onStatus']): Promise<void> {
  for (let message = await wire.receive(); message !== undefined; message = await wire.receive()) onStatus?.(message);
}
