/**
 * A program: prints the titles of the tests in the files it is given, as JSON, without running them. Titles are made by
 * tables and helpers, so the files are loaded as they are, with a recorder in ava's place.
 */

import { register } from 'node:module';
import { pathToFileURL } from 'node:url';

const recorder = new URL('titles_recorder.js', import.meta.url).href;
const hook = `export const resolve = (name, context, next) =>
  name === 'ava' ? { url: ${JSON.stringify(recorder)}, shortCircuit: true } : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

const { titles } = await import('./titles_recorder.ts');
const found: Record<string, readonly string[]> = {};
for (const file of process.argv.slice(2)) {
  const before = titles.length;
  await import(pathToFileURL(file).href);
  found[file] = titles.slice(before);
}
process.stdout.write(JSON.stringify(found));
process.exit(0);
