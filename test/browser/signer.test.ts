import { access } from 'node:fs/promises';
import test from 'ava';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { loadRecordings, type RecordedSession } from '../../cli/recordings.ts';
import { toHex } from '../../proto/bytes.ts';
import type { HexSession } from './page.ts';
import { wasmModules } from './wasm_plugin.ts';

const browsers = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

async function firstThatExists(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    if (exists) return path;
  }
  throw new Error(`this test needs a Chromium: none of ${paths.join(', ')} is there`);
}

function inHex({ secretFile, requests }: RecordedSession): HexSession {
  return {
    secretFile: toHex(secretFile),
    requests: requests.map(({ client, bytes, expected }) => ({
      client: { nodeId: toHex(client.nodeId), dbid: `${client.dbid}`, capabilities: `${client.capabilities}` },
      bytes: toHex(bytes),
      expected: expected instanceof Uint8Array ? toHex(expected) : expected,
    })),
  };
}

test('the signer core, bundled for a browser, answers a recorded node with equal bytes in Chromium', async (t) => {
  const bundle = await build({
    entryPoints: ['dist/test/browser/page.js'],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    plugins: [wasmModules],
    external: ['libsodium-wrappers-sumo'],
  });
  const [script] = bundle.outputFiles;
  t.false(/from ?["']node:/.test(script?.text ?? ''), 'no node: import may be in the bundle');
  const browser = await chromium.launch({ executablePath: await firstThatExists(browsers), args: flags });
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  await page.goto('about:blank');
  await page.addScriptTag({ type: 'module', content: script?.text ?? '' });
  await page.waitForFunction(() => 'replayInPage' in globalThis);
  for (const session of await loadRecordings([
    'test/vectors/hsmd/traces/everyday/l1.jsonl.gz',
    'test/vectors/hsmd/traces/close_no_anchors/l2.jsonl.gz',
  ])) {
    const { equal, different } = await page.evaluate((recorded) => globalThis.replayInPage(recorded), inHex(session));
    t.deepEqual(different, [], session.name);
    t.is(equal, session.requests.length);
  }
  t.deepEqual(problems, []);
});
