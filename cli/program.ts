/** Programs started as children: each runs until it is disposed of, and says why where it ends sooner. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** How long a program may take to end by itself before it is killed, in milliseconds. */
const farewellMs = 10_000;
/** How much of what it printed is kept to explain an early end, in characters. */
const keptTail = 600;

/** An executable of this package. */
export const bin = (name: string) => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));

export interface ProgramOptions {
  /** What to call it in errors. */
  readonly name: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether what it prints to stderr is shown as it comes. */
  readonly showErrors?: boolean;
}

export class Program implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  readonly #ended = new AbortController();
  #printed = '';
  #unwanted = false;

  constructor({ name, path, args, directory, env = {}, showErrors = false }: ProgramOptions) {
    const stdio = ['ignore', 'pipe', showErrors ? 'inherit' : 'pipe'] as const;
    this.#child = spawn(path, [...args], { cwd: directory, env: { ...process.env, ...env }, stdio: [...stdio] });
    this.#exit = once(this.#child, 'close').catch(() => undefined);
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (text) => {
        this.#printed = `${this.#printed}${String(text)}`.slice(-keptTail);
      });
    this.#child.on('error', (error) => this.#end(`${name} cannot be started as ${path}: ${error.message}`));
    this.#child.on('close', (code, killed) => this.#end(`${name} ended (${killed ?? `status ${code}`})`));
  }

  /** Aborts, with the reason, where the program ends before it is disposed of. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** The first line on its stdout, for one who asks before it comes. Rejects with the reason where it ends without one. */
  async firstLine(): Promise<string> {
    const { stdout } = this.#child;
    if (stdout === null) throw new TypeError('its stdout is a pipe, see the constructor');
    try {
      const [line] = await once(createInterface({ input: stdout }), 'line', { signal: this.ended });
      return String(line);
    } catch (error: unknown) {
      this.ended.throwIfAborted();
      throw error;
    }
  }

  /** Asks it to end, waits, kills it where it does not. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#unwanted = true;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), farewellMs);
    await this.#exit;
    clearTimeout(timer);
  }

  #end(what: string): void {
    if (this.#unwanted || this.#ended.signal.aborted) return;
    const said = this.#printed.trim();
    this.#ended.abort(new Error(said === '' ? what : `${what}; it said last:\n${said}`));
  }
}

/** A command of this package's CLI as a process of its own; its log appears on ours. */
export function keyhold(directory: string, args: readonly string[]): Program {
  const script = bin('keyhold.js');
  return new Program({
    name: `keyhold ${args[0]}`,
    path: process.execPath,
    args: [script, ...args],
    directory,
    showErrors: true,
  });
}

/** The port where a `keyhold host` that was just started listens: it says so on its first line. */
export async function listeningPort(host: Program): Promise<number> {
  const said: unknown = JSON.parse(await host.firstLine());
  if (typeof said === 'object' && said !== null && 'listening' in said) return Number(said.listening);
  throw new Error('keyhold host did not say where it listens');
}
