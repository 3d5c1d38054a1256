// A recorded node whose clients do not wait for each other: what each of them asks stays in order, and so does what
// lightningd itself keeps in order between them; everything else comes as chance has it.

import type { RecordedRequest } from '../../cli/recordings.ts';
import { toHex } from '../../proto/bytes.ts';
import { type Call, calls } from '../../proto/hsmd/calls.ts';
import { channelOf } from '../../proto/hsmd/depends.ts';
import { callOf, decodeMessage } from '../../proto/hsmd/message.ts';

/** Numbers from 0 to below `n`, the same for the same seed (mulberry32). */
export function dice(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * n;
  };
}

const steps: readonly Call[] = [
  'setupChannel',
  'validateCommitmentTx',
  'validateRevocation',
  'revokeCommitmentTx',
  'preapproveInvoice',
  'preapproveInvoiceCheck',
  'preapproveKeysend',
  'preapproveKeysendCheck',
];

/** What lightningd asks only when it has the answers to others before it, of whatever channel. */
const behind: { readonly [C in Call]?: ReadonlySet<Call | undefined> } = {
  signRemoteCommitmentTx: new Set(steps),
  revokeCommitmentTx: new Set(steps),
  signCommitmentTx: new Set(steps),
  // The wallet signs an opening or a splice when the channel has signed all that spends it, and its own part.
  signWithdrawal: new Set([...steps, 'signRemoteCommitmentTx', 'signSpliceTx']),
  // And the channel, which stands still until then, ends the splice only when the wallet's part is there.
  signSpliceTx: new Set<Call>(['signWithdrawal']),
  // A transaction confirms when it is signed.
  checkOutpoint: new Set<Call>(['signWithdrawal']),
  lockOutpoint: new Set<Call>(['signWithdrawal']),
};

interface Row {
  readonly call: Call | undefined;
  readonly conn: number;
  readonly channel: string | undefined;
  /** A subdaemon's first: lightningd starts it when it has the answers to what it asked before. */
  readonly begins: boolean;
}

function rowsOf(requests: readonly RecordedRequest[]): readonly Row[] {
  const met = new Set([0]);
  return requests.map(({ conn, client, bytes }) => {
    const call = callOf(bytes);
    const begins = !met.has(conn);
    met.add(conn);
    const named = call === 'newChannel' ? decodeMessage(calls.newChannel.request, bytes) : undefined;
    const channel =
      named === undefined ? call && channelOf(call, client, bytes) : { nodeId: named.peerId, dbid: named.dbid };
    return { call, conn, channel: channel && `${toHex(channel.nodeId)}/${channel.dbid}`, begins };
  });
}

function comesBehind(row: Row, before: Row): boolean {
  return (
    row.conn === before.conn ||
    (row.channel !== undefined && row.channel === before.channel) ||
    (row.begins && before.conn === 0) ||
    (row.call !== undefined && behind[row.call]?.has(before.call) === true)
  );
}

/** Asks every request as soon as those that it comes behind are answered, and some while later. */
export async function interleave(
  requests: readonly RecordedRequest[],
  roll: (n: number) => number,
  ask: (request: RecordedRequest, row: number) => Promise<void>,
): Promise<void> {
  const rows = rowsOf(requests);
  const asked: Promise<void>[] = [];
  for (const [i, request] of requests.entries()) {
    const row = rows[i];
    const before = asked.filter((_, j) => {
      const other = rows[j];
      return row !== undefined && other !== undefined && comesBehind(row, other);
    });
    asked.push(
      Promise.all(before).then(async () => {
        for (let turns = Math.floor(roll(6)); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
        await ask(request, i);
      }),
    );
  }
  await Promise.all(asked);
}
