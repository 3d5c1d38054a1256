/**
 * A lightningd plugin that holds every HTLC which reaches the node, until there is a file `release` in lightningd's network
 * directory, where a plugin runs.
 */

import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

interface Request {
  readonly id: unknown;
  readonly method: string;
}

const lookEveryMs = 100;

const answers: { readonly [method: string]: () => Promise<unknown> } = {
  getmanifest: () =>
    Promise.resolve({ options: [], rpcmethods: [], hooks: [{ name: 'htlc_accepted' }], dynamic: false }),
  init: () => Promise.resolve({}),
  async htlc_accepted() {
    while (!existsSync('release')) await sleep(lookEveryMs);
    return { result: 'continue' };
  },
};

async function answer(text: string): Promise<void> {
  const { id, method } = JSON.parse(text) as Request; // lightningd speaks JSON-RPC 2.0
  const result = await answers[method]?.();
  if (id !== undefined) process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`);
}

/** lightningd ends each request with an empty line. */
const lines: string[] = [];
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== '') lines.push(line);
  else if (lines.length > 0) void answer(lines.splice(0).join('\n'));
}
// HTLCs that are held keep nobody alive whose lightningd is gone.
process.exit();
