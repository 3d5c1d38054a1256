/** Programs started as children: each runs until it is disposed of, and says why where it ends sooner. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** How long a program may take to end by itself before it is killed, in milliseconds. */
const farewellMs = 10_000;
/** How much of what it printed is kept to explain an early end, in characters. */
const keptTail = 600;

export interface ProgramOptions {
  /** What to call it in errors. */
  readonly name: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly env?: Readonly<Record<string, string>>;
}

export class Program implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  readonly #ended = new AbortController();
  #printed = '';
  #unwanted = false;

  constructor({ name, path, args, directory, env = {} }: ProgramOptions) {
    this.#child = spawn(path, [...args], {
      cwd: directory,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
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
