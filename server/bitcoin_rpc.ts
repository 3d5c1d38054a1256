/** JSON-RPC of a bitcoind: who may call it, single calls and many at once. */

import { readFile } from 'node:fs/promises';

export interface RpcAccess {
  /** `http://HOST:PORT/`, without a name or password in it. */
  readonly url: string;
  /** `user:password`, read anew for each call: a cookie changes when bitcoind starts. */
  readonly credentials: () => Promise<string>;
}

/** bitcoind says no. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  /** As bitcoind has it: -5 for what it does not know, -28 while it starts. */
  readonly code: number;

  constructor(method: string, code: number, message: string) {
    super(`${method}: ${message} (${code})`);
    this.code = code;
  }
}

export interface RpcCall {
  readonly method: string;
  readonly params: readonly (string | number | boolean)[];
}

interface RpcResponse {
  readonly id: number;
  readonly result: unknown;
  readonly error: { readonly code: number; readonly message: string } | null;
}

/** Calls of one HTTP request. */
const atOnce = 500;
const timeoutMs = 30_000;

/**
 * Access as an operator gives it: a URL, which may have `user:password@`, or the path of bitcoind's cookie file (or
 * another file with one line `user:password`) beside it. Throws TypeError for what is no URL, or lacks credentials.
 */
export function rpcAccess(given: string, cookieFile: string | undefined): RpcAccess {
  const url = new URL(given);
  const inUrl =
    url.username === '' ? undefined : `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  url.username = '';
  url.password = '';
  if (cookieFile !== undefined)
    return { url: url.href, credentials: async () => (await readFile(cookieFile, 'utf8')).trim() };
  if (inUrl === undefined) throw new TypeError('expected a user and password in the URL, or a file that has them');
  return { url: url.href, credentials: () => Promise.resolve(inUrl) };
}

export class BitcoinRpc {
  readonly #access: RpcAccess;
  readonly #signal: AbortSignal;

  /** `signal` ends every call that runs. */
  constructor(access: RpcAccess, signal: AbortSignal) {
    this.#access = access;
    this.#signal = signal;
  }

  /** @throws RpcError, or what `fetch` throws */
  async call(method: string, ...params: RpcCall['params']): Promise<unknown> {
    const [result] = await this.all([{ method, params }]);
    return result;
  }

  /** The results of many calls, in their order. @throws the first call's RpcError, or what `fetch` throws */
  async all(calls: readonly RpcCall[]): Promise<readonly unknown[]> {
    const results: unknown[] = [];
    for (let at = 0; at < calls.length; at += atOnce) results.push(...(await this.#post(calls.slice(at, at + atOnce))));
    return results;
  }

  async #post(calls: readonly RpcCall[]): Promise<readonly unknown[]> {
    const { url, credentials } = this.#access;
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(await credentials()).toString('base64')}` },
      body: JSON.stringify(calls.map((call, id) => ({ jsonrpc: '1.0', id, ...call }))),
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (response.status === 401) throw new Error('bitcoind does not accept the user and password');
    // bitcoind answers a batch with an array of these; anything else fails in the next line.
    const answers = (await response.json()) as readonly RpcResponse[];
    const byId = new Map(answers.map((answer) => [answer.id, answer]));
    return calls.map(({ method }, id) => {
      const answer = byId.get(id);
      if (answer === undefined) throw new Error(`bitcoind did not answer ${method}`);
      if (answer.error !== null) throw new RpcError(method, answer.error.code, answer.error.message);
      return answer.result;
    });
  }
}
