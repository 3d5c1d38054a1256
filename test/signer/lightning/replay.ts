/** Plays recordings back to whoever wants to see channels: each request with what was known of its channel by then. */

import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { fromHex, toHex } from '../../../proto/bytes.ts';
import { calls, type Request } from '../../../proto/hsmd/calls.ts';
import { trustPoints } from '../../../proto/hsmd/codec.ts';
import type { Basepoints } from '../../../proto/hsmd/fields.ts';
import { decodeMessage, decodeRequest } from '../../../proto/hsmd/message.ts';
import { type Channel, channelOf, type Funding, fundingOf } from '../../../signer/lightning/channel.ts';

const folder = 'test/vectors/hsmd/traces';

interface Row {
  readonly conn: number;
  readonly peer: string | null;
  readonly dbid: number;
  readonly req: string;
  readonly rep: string | null;
}

/** What a signer knows of a channel: our public keys, what setup_channel said, and the points we gave away. */
export interface ChannelView {
  basepoints: Basepoints | undefined;
  fundingPubkey: Uint8Array | undefined;
  channel: Channel | undefined;
  readonly fundings: Funding[];
  readonly points: Map<bigint, Uint8Array>;
}

export interface Step {
  /** `SCENARIO/NODE row N`. */
  readonly where: string;
  readonly bytes: Uint8Array;
  readonly request: Request;
  readonly conn: number;
  readonly channel: ChannelView;
  /** Of the same node, by `peer/dbid`. */
  readonly channels: ReadonlyMap<string, ChannelView>;
}

/** All recorded nodes, as `SCENARIO/NODE`. */
export function recordedNodes(): readonly string[] {
  return readdirSync(folder).flatMap((scenario) =>
    readdirSync(`${folder}/${scenario}`)
      .filter((file) => file.endsWith('.jsonl.gz'))
      .map((file) => `${scenario}/${file.replace('.jsonl.gz', '')}`),
  );
}

export function channelName(peer: Uint8Array, dbid: bigint): string {
  return `${toHex(peer)}/${dbid}`;
}

function emptyView(): ChannelView {
  return { basepoints: undefined, fundingPubkey: undefined, channel: undefined, fundings: [], points: new Map() };
}

function viewOf(channels: Map<string, ChannelView>, name: string): ChannelView {
  const view = channels.get(name) ?? emptyView();
  channels.set(name, view);
  return view;
}

/** What the reply, or setup_channel itself, adds to what is known. */
function learn(channels: Map<string, ChannelView>, view: ChannelView, request: Request, reply: Uint8Array): void {
  if (request.call === 'getChannelBasepoints') {
    const about = viewOf(channels, channelName(request.fields.peerId, request.fields.dbid));
    const { basepoints, fundingPubkey } = decodeMessage(calls.getChannelBasepoints.reply, reply);
    about.basepoints = basepoints;
    about.fundingPubkey = fundingPubkey;
  } else if (request.call === 'setupChannel' && view.basepoints && view.fundingPubkey) {
    view.channel ??= channelOf(request.fields, view.basepoints);
    view.fundings.push(fundingOf(request.fields, view.fundingPubkey));
  } else if (request.call === 'getPerCommitmentPoint')
    view.points.set(request.fields.n, decodeMessage(calls.getPerCommitmentPoint.reply, reply).perCommitmentPoint);
  else if (request.call === 'validateCommitmentTx')
    view.points.set(
      request.fields.commitNum + 1n,
      decodeMessage(calls.validateCommitmentTx.reply, reply).nextPerCommitmentPoint,
    );
  else if (request.call === 'revokeCommitmentTx')
    view.points.set(
      request.fields.commitNum + 2n,
      decodeMessage(calls.revokeCommitmentTx.reply, reply).nextPerCommitmentPoint,
    );
}

/** Every answered request of a node, in order. */
export function* replay(node: string): Generator<Step> {
  const channels = new Map<string, ChannelView>();
  const lines = gunzipSync(readFileSync(`${folder}/${node}.jsonl.gz`))
    .toString()
    .trimEnd()
    .split('\n');
  for (const [index, line] of lines.entries()) {
    const row: Row = JSON.parse(line);
    const bytes = fromHex(row.req);
    const request = decodeRequest(bytes, trustPoints);
    const channel = viewOf(channels, `${row.peer}/${row.dbid}`);
    yield { where: `${node} row ${index}`, bytes, request, conn: row.conn, channel, channels };
    if (row.rep) learn(channels, channel, request, fromHex(row.rep));
  }
}

/** What tests of recorded requests cannot go on without. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the recording does not have ${what}`);
  return value;
}

/** The latest funding with this outpoint. */
export function fundingAt(view: ChannelView, txid: Uint8Array, vout: number): Funding {
  const found = view.fundings.findLast((funding) => toHex(funding.txid) === toHex(txid) && funding.vout === vout);
  return present(found, 'this funding');
}
