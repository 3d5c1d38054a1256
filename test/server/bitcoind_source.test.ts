/** A bitcoind that is played here: what is asked of it, and what becomes of its answers and failures. The real one is in bitcoind.test.ts. */

import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { toHex } from '../../proto/bytes.ts';
import { systemClock } from '../../proto/clock.ts';
import { silent } from '../../proto/log.ts';
import { BitcoinRpc, RpcError, rpcAccess } from '../../server/bitcoin_rpc.ts';
import { BitcoindSource } from '../../server/bitcoind_source.ts';
import { until } from './host_under_test.ts';

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}
type Answer = (method: string, params: readonly unknown[]) => unknown;

/** Answers calls in batches, in any order; an Error becomes an RPC error of code -5. */
async function bitcoind(t: ExecutionContext, answer: Answer, credentials = 'user:pass') {
  const server = createServer((request, response) => {
    const { authorization } = request.headers;
    if (authorization !== `Basic ${Buffer.from(credentials).toString('base64')}`) {
      response.writeHead(401).end();
      return;
    }
    request.setEncoding('utf8');
    let body = '';
    request.on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      const calls = JSON.parse(body) as readonly Call[];
      const answers = calls.map(({ id, method, params }) => {
        const result = answer(method, params);
        if (result instanceof Error) return { id, result: null, error: { code: -5, message: result.message } };
        return { id, result: result ?? null, error: null };
      });
      response.end(JSON.stringify(answers.reverse()));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return `http://127.0.0.1:${port}/`;
}

const signal = new AbortController().signal;
const rpcOf = (url: string, credentials = 'user:pass') =>
  new BitcoinRpc({ url, credentials: () => Promise.resolve(credentials) }, signal);

test('many calls go in few requests and come back in their order', async (t) => {
  const rpc = rpcOf(await bitcoind(t, (_method, [height]) => `hash ${String(height)}`));
  const calls = Array.from({ length: 1201 }, (_, height) => ({ method: 'getblockhash', params: [height] }));
  const results = await rpc.all(calls);
  t.is(results.length, 1201);
  t.true(results.every((result, height) => result === `hash ${height}`));
});

test('a no of bitcoind has its code; a wrong password is said plainly', async (t) => {
  const url = await bitcoind(t, () => new Error('Block not found'));
  const error = await t.throwsAsync(rpcOf(url).call('getblockheader', 'x'), { instanceOf: RpcError });
  t.is(error?.code, -5);
  t.is(error?.message, 'getblockheader: Block not found (-5)');
  await t.throwsAsync(rpcOf(url, 'user:wrong').call('x'), { message: /does not accept the user and password/ });
});

test('credentials come out of the URL, or of a cookie that changes', async (t) => {
  const access = rpcAccess('http://us%40er:pa%3Ass@127.0.0.1:18443', undefined);
  t.is(access.url, 'http://127.0.0.1:18443/');
  t.is(await access.credentials(), 'us@er:pa:ss');
  const folder = await mkdtemp(join(tmpdir(), 'keyhold-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const cookie = join(folder, '.cookie');
  const byCookie = rpcAccess('http://127.0.0.1:8332', cookie);
  for (const text of ['__cookie__:one\n', '__cookie__:two\n']) {
    await writeFile(cookie, text);
    t.is(await byCookie.credentials(), text.trim());
  }
  t.throws(() => rpcAccess('http://127.0.0.1:8332', undefined), { instanceOf: TypeError });
  t.throws(() => rpcAccess('nonsense', undefined), { instanceOf: TypeError });
});

const genesis = `${'00'.repeat(31)}06`;

test('one line when bitcoind is away, one when it is back; no estimate is none', async (t) => {
  let away = true;
  let asked = 0;
  const url = await bitcoind(t, (method) => {
    asked += 1;
    if (away) return new Error('warming up');
    if (method === 'estimatesmartfee') return { errors: ['Insufficient data'] };
    return genesis;
  });
  const lines: string[] = [];
  const source = new BitcoindSource({
    rpc: rpcOf(url),
    clock: systemClock,
    log: (_level, message) => lines.push(message),
    pollMs: 5,
  });
  t.teardown(() => source[Symbol.dispose]());
  let changes = 0;
  source.watch(() => {
    changes += 1;
  });
  await until(() => asked > 3, 'it has been asked a few times');
  t.deepEqual(lines, ['no news of the chain']);
  t.is(source.genesis, undefined);
  away = false;
  await until(() => lines.length === 2, 'it is back');
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.is(toHex(source.genesis ?? new Uint8Array()), `06${'00'.repeat(31)}`);
  t.deepEqual(lines, ['no news of the chain', 'bitcoind answers again']);
  t.is(source.feeratePerkw, undefined);
  t.is(changes, 1);
});

test('the feerate is satoshi per 1000 weight, from bitcoin per 1000 virtual bytes', async (t) => {
  const url = await bitcoind(t, (method) => (method === 'estimatesmartfee' ? { feerate: 0.0001 } : genesis));
  const source = new BitcoindSource({ rpc: rpcOf(url), clock: systemClock, log: silent, pollMs: 5 });
  t.teardown(() => source[Symbol.dispose]());
  await until(() => source.feeratePerkw !== undefined, 'the feerate is known');
  t.is(source.feeratePerkw, 2_500);
});

test('headers that do not hang together, of a reorganisation in between, are not told', async (t) => {
  const header = (previous: string) => `00000020${previous}${'00'.repeat(44)}`;
  const hashes = ['00'.repeat(32), '11'.repeat(32), '22'.repeat(32)];
  let second = header('11'.repeat(32));
  const url = await bitcoind(t, (method, [first]) => {
    if (method === 'getblockcount') return 2;
    if (method === 'getblockhash') return hashes[Number(first)];
    if (method === 'estimatesmartfee') return {};
    if (method === 'getbestblockhash') return hashes[2];
    if (method !== 'getblockheader') return new Error('unknown');
    if (first === hashes[0]) return { confirmations: 3, height: 0 };
    if (first === hashes[1]) return header('00'.repeat(32));
    return first === hashes[2] ? second : new Error('Block not found');
  });
  const source = new BitcoindSource({ rpc: rpcOf(url), clock: systemClock, log: silent });
  t.teardown(() => source[Symbol.dispose]());
  const locator = [new Uint8Array(32).fill(9), new Uint8Array(32)];
  t.is((await source.headersAfter(locator, 2016)).length, 2);
  t.is((await source.headersAfter(locator, 1)).length, 1);
  t.is((await source.headersAfter([new Uint8Array(32).fill(9)], 2016)).length, 0);
  second = header('33'.repeat(32));
  t.is((await source.headersAfter(locator, 2016)).length, 0);
});
