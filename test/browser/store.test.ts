import test from 'ava';
import { build } from 'esbuild';
import { storeCases } from '../signer/store_suite.ts';
import { launchChromium } from './chromium.ts';

test('the store on IndexedDB does in Chromium what every store must', async (t) => {
  const bundle = await build({
    entryPoints: ['dist/test/browser/store_page.js'],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
  });
  const script = bundle.outputFiles[0]?.text ?? '';
  t.false(/from ?["']node:/.test(script), 'no node: import may be in the bundle');
  const browser = await launchChromium();
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  // A page of its own origin: about:blank has no database.
  await page.route('http://localhost/', (route) =>
    route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }),
  );
  await page.goto('http://localhost/');
  await page.addScriptTag({ type: 'module', content: script });
  await page.waitForFunction(() => 'runStoreCases' in globalThis);
  const outcomes = await page.evaluate(() => globalThis.runStoreCases());
  t.is(Object.keys(outcomes).length, storeCases.length + 1);
  for (const [title, problem] of Object.entries(outcomes)) t.is(problem, '', title);
});
