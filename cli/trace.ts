/** `keyhold trace`: looks on while a node's requests are answered, and says at the end where it waited. */

import { Host as HostService, type TraceResponse } from '../proto/gen/keyhold/v1/host_pb.ts';
import { Channel, StatusError } from '../proto/grpc.ts';
import { command, UsageError } from './command.ts';
import { dirOption, identityOf, type Role, roles, unreachable } from './directory.ts';
import { jsonLine, legend, line } from './trace_lines.ts';
import { TraceSummary } from './trace_summary.ts';

/**
 * Aborts when the process is asked to stop, when so many seconds are over, or when what reads our output is gone (`| head`;
 * other programs end by a signal there, which Node ignores). One controller that its sources hold on to: signals made of
 * signals (AbortSignal.any) may be collected before they abort. @throws UsageError
 */
function endOf(stop: AbortSignal, seconds: string | undefined, output: NodeJS.WritableStream): AbortSignal {
  const given = seconds === undefined ? undefined : Number(seconds);
  if (given !== undefined && !(given > 0 && given < 1e6))
    throw new UsageError(`--seconds: expected a number above 0, got ${seconds}`);
  const ended = new AbortController();
  const end = () => ended.abort();
  if (stop.aborted) end();
  stop.addEventListener('abort', end, { once: true });
  output.on('error', end);
  if (given !== undefined) setTimeout(end, given * 1000).unref();
  return ended.signal;
}

async function write(text: string, signal: AbortSignal): Promise<void> {
  if (process.stdout.write(text) || signal.aborted) return;
  await new Promise<void>((resolve) => {
    process.stdout.once('drain', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Prints what comes until it ends; the host's end is one too, and said. */
async function follow(
  responses: AsyncIterable<TraceResponse>,
  print: (response: TraceResponse) => Promise<void>,
  signal: AbortSignal,
  address: string,
): Promise<string | undefined> {
  try {
    for await (const response of responses) await print(response);
    return 'the host has ended';
  } catch (error: unknown) {
    if (signal.aborted) return undefined;
    if (error instanceof StatusError && error.code === 'UNAVAILABLE')
      return `the host is gone: ${unreachable(address, error)}`;
    throw error;
  }
}

export const trace = command({
  name: 'trace',
  summary: 'Watch requests as they are answered, and see where the node waits.',
  explanation:
    'Prints a line for each request of lightningd and its subdaemons that a running host answers from now on: when, how\n' +
    'long lightningd waited for it in milliseconds, how it was answered, who asked, what. Never what was in it. Ctrl-C\n' +
    'ends it with a table by kind of request: those at the top are where the time goes. An operator’s certificate sees\n' +
    `every node, a signer’s its own. To look on costs the node nothing: who reads too slowly misses some, and is told.\n\n${legend}`,
  options: {
    dir: dirOption,
    host: { value: 'HOST:PORT', means: 'the host to ask', default: '127.0.0.1:9737' },
    as: { value: 'ROLE', means: 'whose certificate to show: operator or signer', default: 'operator' },
    node: { value: 'NAME', means: 'this node only', default: '' },
    asked: { means: 'only what waited for the signer' },
    seconds: { value: 'N', means: 'end after so long (default: go on until Ctrl-C)' },
    table: { means: 'no lines; on a terminal the table is drawn anew with what comes' },
    json: { means: 'one JSON object a line, for programs; the last one is the table' },
  },
  async run(given, stop) {
    const role: Role | undefined = roles.find((known) => known === given.option('as') && known !== 'host');
    if (role === undefined) throw new UsageError(`--as: expected operator or signer, got ${given.option('as')}`);
    const signal = endOf(stop, given.option('seconds'), process.stdout);
    const address = given.option('host') ?? '';
    await using channel = new Channel(address, await identityOf(given.option('dir') ?? '', role));
    const node = given.option('node') ?? '';
    const json = given.has('json');
    const summary = new TraceSummary();
    const redraw = given.has('table') && process.stdout.isTTY && !json;
    const print = async ({ requests, missed }: TraceResponse) => {
      summary.add(requests, missed);
      const shown = given.has('table')
        ? []
        : requests.filter((request) => !given.has('asked') || summary.waits(request));
      const lines = shown.map((request) => (json ? jsonLine(request) : line(request, node === '')));
      if (missed > 0n) lines.push(json ? JSON.stringify({ missed: Number(missed) }) : `… ${missed} missed`);
      if (lines.length > 0) await write(`${lines.join('\n')}\n`, signal);
      else if (redraw) await write(`\x1b[H\x1b[2J${summary.text()}\n`, signal);
    };
    const end = await follow(channel.client(HostService).trace({ node }, { signal }), print, signal, address);
    if (end !== undefined && summary.isEmpty) throw new Error(end);
    console.log(json ? JSON.stringify(summary.json()) : `${redraw ? '\x1b[H\x1b[2J' : ''}${summary.text()}`);
    if (end !== undefined) console.error(`keyhold: ${end}`);
    return end === undefined ? 0 : 1;
  },
});
