/**
 * Compiles the programs in C into bin/, as part of `npm run build`: the stand-in for lightning_hsmd, keyhold-hsmd, which
 * connects to a host, keyhold-hsmd-inline, which starts its signer itself, and keyhold-pass-fds, which sits where
 * lightningd does. Static where libc allows it, so that an idle one is small.
 *
 * CC names another compiler than cc. KEYHOLD_WITHOUT_SHIM=1 lets a build pass where there is none.
 */

import { spawnSync } from 'node:child_process';
import { renameSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const shim = fileURLToPath(new URL('../server/shim/keyhold-hsmd.c', import.meta.url));
const script = fileURLToPath(import.meta.url);
const flags = ['-std=c11', '-O2', '-Wall', '-Wextra', '-fstack-protector-strong', '-Wl,-z,relro,-z,now'];
const variants = [
  { name: 'keyhold-hsmd', source: shim, defines: [] },
  { name: 'keyhold-hsmd-inline', source: shim, defines: ['-DKEYHOLD_INLINE'] },
  // Sits in lightningd's place for `keyhold replay --through` and for tests.
  { name: 'keyhold-pass-fds', source: fileURLToPath(new URL('../cli/pass_fds.c', import.meta.url)), defines: [] },
];

const [compiler = 'cc', ...compilerFlags] = (process.env.CC || 'cc').split(' ').filter((word) => word !== '');

for (const { name, source, defines } of variants) {
  const target = fileURLToPath(new URL(name, import.meta.url));
  if (modified(target) > Math.max(modified(source), modified(script))) continue;
  const built = `${target}.${process.pid}`;
  // Two builds at once, or one that is killed, must not leave half a program.
  const result = compile(built, source, [...defines, '-static']);
  const failure = result.status === 0 ? undefined : compile(built, source, defines);
  if (failure !== undefined && failure.status !== 0) {
    rmSync(built, { force: true });
    process.exit(explain(name, failure));
  }
  renameSync(built, target);
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function compile(target, source, more) {
  return spawnSync(compiler, [...compilerFlags, ...flags, ...more, '-o', target, source], { encoding: 'utf8' });
}

/** Says what went wrong; returns the status to exit with. */
function explain(name, { error, stderr }) {
  const remedy = 'or set KEYHOLD_WITHOUT_SHIM=1 to build without the program that lightningd starts';
  const problem = error === undefined ? `${compiler} fails` : `no C compiler (${error.message})`;
  const hint =
    error === undefined ? 'it needs Linux and the headers of libc,' : 'install gcc or clang, name one in CC,';
  console.error(
    `cannot compile bin/${name}: ${problem}; ${hint} ${remedy}${error === undefined ? `:\n${stderr}` : ''}`,
  );
  return process.env.KEYHOLD_WITHOUT_SHIM === '1' ? 0 : 1;
}
