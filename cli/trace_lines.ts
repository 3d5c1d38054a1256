/** One traced request as `keyhold trace` prints it: a line for people, a JSON object for programs. */

import { Answered, type TracedRequest } from '../proto/gen/keyhold/v1/host_pb.ts';
import { lightningdCapabilities } from '../proto/hsmd/calls.ts';

/** How each way to answer is called, and what it means for the node. */
const ways: ReadonlyMap<Answered, { readonly name: string; readonly means: string }> = new Map([
  [Answered.ASKED, { name: 'asked', means: 'lightningd waited for the signer: a round trip' }],
  [Answered.AHEAD, { name: 'ahead', means: 'the signer had sent the answer before it was asked' }],
  [Answered.KNOWN, { name: 'known', means: 'the host knew it from what the signer said before, or from public keys' }],
  [Answered.ACKNOWLEDGED, { name: 'acknowledged', means: 'the host answered at once, the signer decides it after' }],
  [Answered.HOST, { name: 'host', means: 'no business of the signer’s: a new client’s connection' }],
  [Answered.REFUSED, { name: 'refused', means: 'the signer refused: its log and keyhold approvals say why' }],
  [Answered.MALFORMED, { name: 'malformed', means: 'no request, or none that this client may make' }],
  [Answered.UNAVAILABLE, { name: 'unavailable', means: 'no signer answered in time' }],
]);

/** What a way to answer is called; a host of a later version may know more of them. */
export function answered(how: Answered): string {
  return ways.get(how)?.name ?? 'otherwise';
}

const nameWidth = 12;
const waitWidth = 9;
const clientWidth = 14;

/** What the words in a line mean, for `--help`. */
export const legend = [
  'How a request was answered:',
  ...[...ways.values()].map(({ name, means }) => `  ${name.padEnd(nameWidth)}  ${means}`),
  '“held” is the part of a wait in which no signer had the request yet: behind another of the same connection, behind one',
  'that has to be decided first, or because no signer was attached.',
].join('\n');

/** Microseconds as milliseconds, with the fraction that is worth reading. */
export function milliseconds(us: bigint): number {
  return Math.round(Number(us) / 10) / 100;
}

/** Who asked, for people. */
function clientOf({ dbid, capabilities }: TracedRequest): string {
  if (dbid !== 0n) return `channel ${dbid}`;
  return capabilities === lightningdCapabilities ? 'lightningd' : 'subdaemon';
}

function clockTime(ms: bigint): string {
  const time = new Date(Number(ms));
  const two = (value: number) => String(value).padStart(2, '0');
  const fraction = String(time.getMilliseconds()).padStart(3, '0');
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${fraction}`;
}

/** What is held is worth saying from here on, in microseconds: below it is the host's own work. */
const worthSayingUs = 1000n;

/** A line without its end; `withNode` where several nodes may be in it. */
export function line(request: TracedRequest, withNode: boolean): string {
  const { node, lane, call, timeMs, waitedUs, heldUs } = request;
  const held = request.answered === Answered.ASKED && heldUs >= worthSayingUs;
  return [
    clockTime(timeMs),
    `${milliseconds(waitedUs).toFixed(2)} ms`.padStart(waitWidth + 3),
    answered(request.answered).padEnd(nameWidth),
    ...(withNode ? [node.padEnd(clientWidth)] : []),
    `${clientOf(request)} #${lane}`.padEnd(clientWidth),
    `${call || 'no request'}${held ? `  (held ${milliseconds(heldUs).toFixed(2)} ms)` : ''}`,
  ].join('  ');
}

/** The same for programs. */
export function jsonLine(request: TracedRequest): string {
  const { node, lane, dbid, call, timeMs, waitedUs, heldUs } = request;
  return JSON.stringify({
    time: new Date(Number(timeMs)).toISOString(),
    node,
    client: clientOf(request),
    lane: Number(lane),
    dbid: Number(dbid),
    call,
    answered: answered(request.answered),
    waited_ms: milliseconds(waitedUs),
    held_ms: milliseconds(heldUs),
  });
}
