/** `npm run demo`: Keyhold at work, on a machine that has nothing but this package, or with real nodes on regtest. */

import { parseArgs } from 'node:util';
import { UsageError } from './command.ts';
import type { Exchange } from './demo_exchange.ts';
import { lightningdDemo } from './demo_lightningd.ts';
import { recordedDemo } from './demo_recorded.ts';
import { screen } from './demo_screen.ts';
import { summary } from './demo_summary.ts';

const usage = `Shows a Lightning node at work whose keys are in another process.

Usage: npm run demo [-- --lightningd]

Starts keyhold host and keyhold signer with certificates made for them, has a node ask through the stand-in for
lightning_hsmd, and shows each request as it passes: number, client, name, latency, and whether the answer is the real
lightning_hsmd's, byte for byte. At the end it counts what the keys were used for. Ctrl-C ends it; nothing is left behind.
Exit code: 0 where every byte is equal, 1 where one differs or something failed, 2 for a wrong option or a missing
program, 130 after Ctrl-C.

Without options the node is a recording of a real one: a few seconds, nothing else to install.

  --lightningd  two real nodes on regtest: node 1 with its keys behind host and signer, node 2 with keyhold's inline
                stand-in. They open a channel, pay both ways, splice, and close. Needs Core Lightning v26.06 and Bitcoin
                Core: lightningd, bitcoind and bitcoin-cli on the PATH, or CLN (a built Core Lightning tree) and BITCOIN
                (a folder with bitcoind and bitcoin-cli) in the environment. Where lightning_hsmd is found beside
                lightningd, it is asked the same, to compare.
  --help        this text`;

function options(args: readonly string[]): { readonly lightningd: boolean; readonly help: boolean } {
  try {
    const known = {
      lightningd: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    } as const;
    return parseArgs({ args: [...args], options: known }).values;
  } catch (error: unknown) {
    throw new UsageError(`${error instanceof Error ? error.message : 'bad arguments'}; see: npm run demo -- --help`);
  }
}

async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { lightningd, help } = options(args);
  if (help) {
    console.log(usage);
    return 0;
  }
  const { stdout } = process;
  const { NO_COLOR } = process.env;
  const shown = screen({ isTTY: stdout.isTTY === true, write: (text) => stdout.write(text) }, NO_COLOR === undefined);
  const passed: readonly Exchange[] = await (lightningd ? lightningdDemo : recordedDemo)(shown, signal);
  const { text, exitCode } = summary(passed);
  shown.heading('summary');
  shown.block(text);
  return exitCode;
}

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort());
try {
  process.exitCode = await run(process.argv.slice(2), stop.signal);
} catch (error: unknown) {
  if (stop.signal.aborted) {
    console.error('stopped; nothing is left behind');
    process.exitCode = 130;
  } else {
    console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
