/** A real bitcoind on regtest as the source, a real signer's chain behind it. Needs BITCOIN: a folder with bitcoind and bitcoin-cli. */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { create } from '@bufbuild/protobuf';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { fromHex } from '../../proto/bytes.ts';
import { systemClock } from '../../proto/clock.ts';
import { FromSignerSchema, ToSignerSchema, WelcomeSchema } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { type Log, silent } from '../../proto/log.ts';
import { BitcoinRpc, rpcAccess } from '../../server/bitcoin_rpc.ts';
import { BitcoindSource } from '../../server/bitcoind_source.ts';
import { ChainLink } from '../../server/chain_link.ts';
import { ChainFeed } from '../../signer/chain/feed.ts';
import { openMemoryStore } from '../../signer/store/memory.ts';
import { network } from '../signer/chain/mining.ts';
import { temporaryDirectory, until } from './host_under_test.ts';

const { BITCOIN } = process.env;
const installed = BITCOIN !== undefined && existsSync(join(BITCOIN, 'bitcoind'));
const test = anyTest as TestFn;
const run = promisify(execFile);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

/** Starts bitcoind without an index of transactions; `cli` calls it. */
async function startBitcoind(t: ExecutionContext, folder: string) {
  const port = await freePort();
  const config = `regtest=1\nserver=1\nfallbackfee=0.0001\n[regtest]\nrpcport=${port}\nlisten=0\n`;
  await writeFile(join(folder, 'bitcoin.conf'), config);
  const bitcoind = spawn(join(BITCOIN ?? '', 'bitcoind'), [`-datadir=${folder}`], { stdio: 'ignore' });
  t.teardown(async () => {
    bitcoind.kill();
    if (bitcoind.exitCode === null) await once(bitcoind, 'exit');
  });
  const cli = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await run(join(BITCOIN ?? '', 'bitcoin-cli'), [`-datadir=${folder}`, '-rpcwait', ...args]);
    return stdout.trim();
  };
  await cli('getblockcount');
  return { cli, url: `http://127.0.0.1:${port}`, cookie: join(folder, 'regtest', '.cookie') };
}

(installed ? test : test.skip)(
  'bitcoind’s chain reaches the signer, with proofs of outputs before and after a reorganisation (needs BITCOIN)',
  async (t) => {
    const folder = await temporaryDirectory(t);
    const { cli, url, cookie } = await startBitcoind(t, folder);
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    const warnings: string[] = [];
    const log: Log = (level, message, fields) => {
      if (level === 'warn' || level === 'error') warnings.push(`${message} ${JSON.stringify(fields)}`);
    };
    const rpc = new BitcoinRpc(rpcAccess(url, cookie), stop.signal);
    using source = new BitcoindSource({ rpc, clock: systemClock, log: silent, pollMs: 50 });
    await cli('createwallet', 'w');
    const address = await cli('getnewaddress');
    const mine = (blocks: number) => cli('generatetoaddress', `${blocks}`, address);
    await mine(130);
    const feed = new ChainFeed({ clock: systemClock, log, required: false, patienceMs: 5_000 });
    const link = new ChainLink(source, (message) => feed.receive(create(ToSignerSchema, { message }).message), log);
    t.teardown(() => link[Symbol.dispose]());
    feed.attached(create(WelcomeSchema, { active: true }), (given) => {
      const { message } = create(FromSignerSchema, { message: given });
      if (message.case === 'chainWanted') link.want(message.value);
    });
    feed.start(openMemoryStore({}, 'create'), network('regtest'));
    await until(() => feed.height() === 130, 'the signer has all of the chain');

    const txid = await cli('sendtoaddress', address, '1.5');
    for (let i = 0; i < 6; i++) await cli('sendtoaddress', address, '0.1');
    const [block] = JSON.parse(await mine(1)) as readonly string[];
    const outputs = (
      JSON.parse(await cli('getrawtransaction', txid, 'true', block ?? '')) as {
        readonly vout: readonly {
          readonly n: number;
          readonly value: number;
          readonly scriptPubKey: { readonly hex: string };
        }[];
      }
    ).vout;
    const paid = outputs.find(({ value }) => value === 1.5);
    const output = {
      txid: fromHex(txid).reverse(),
      vout: paid?.n ?? 0,
      value: 150_000_000n,
      script: fromHex(paid?.scriptPubKey.hex ?? ''),
    };
    await until(() => feed.height() === 131, 'the signer has the block');
    t.is(await feed.confirmations(output), 1);
    await mine(2);
    await until(() => feed.height() === 133, 'and two more');
    t.is(await feed.confirmations(output), 3);

    await cli('invalidateblock', block ?? '');
    const other = await cli('getnewaddress');
    await cli('generateblock', other, '[]');
    for (let i = 0; i < 3; i++) await cli('generateblock', await cli('getnewaddress'), '[]');
    await until(() => feed.height() === 134, 'the other branch is followed');
    t.is(await feed.confirmations(output), 0);
    await mine(1);
    await until(() => feed.height() === 135, 'and its next block');
    t.is(await feed.confirmations(output), 1);
    t.deepEqual(warnings, []);
  },
);
