/** keyhold.v1.Host's trace: what passes, request by request, to a node's own signer and to operators. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { Answered, type Host, type TraceResponseSchema } from '../proto/gen/keyhold/v1/host_pb.ts';
import { type Implementation, StatusError } from '../proto/grpc.ts';
import { nodeSeenBy } from './certificate_name.ts';
import type { HostedNode } from './hosted_node.ts';
import type { Outcome, Trace, TracedBatch, TracedRequest } from './trace.ts';

const onWire: { readonly [O in Outcome]: Answered } = {
  asked: Answered.ASKED,
  ahead: Answered.AHEAD,
  known: Answered.KNOWN,
  acknowledged: Answered.ACKNOWLEDGED,
  host: Answered.HOST,
  refused: Answered.REFUSED,
  malformed: Answered.MALFORMED,
  unavailable: Answered.UNAVAILABLE,
};

const microseconds = (ms: number) => BigInt(Math.max(0, Math.round(ms * 1000)));

function toWire({ node, lane, client, call, outcome, timeMs, waitedMs, heldMs }: TracedRequest) {
  return {
    node,
    lane,
    dbid: client.dbid,
    capabilities: client.capabilities,
    call,
    answered: onWire[outcome],
    timeMs: BigInt(Math.trunc(timeMs)),
    waitedUs: microseconds(waitedMs),
    heldUs: microseconds(heldMs),
  };
}

function batchToWire({ requests, missed }: TracedBatch): MessageInitShape<typeof TraceResponseSchema> {
  return { requests: requests.map(toWire), missed: BigInt(missed) };
}

/** The service; `nodes` are those of the host by name. */
export function traceRequests(
  nodes: ReadonlyMap<string, HostedNode>,
  trace: Trace,
): Pick<Implementation<typeof Host>, 'trace'> {
  return {
    async *trace(request, caller) {
      const node = nodeSeenBy(caller, request.node);
      if (node !== undefined && !nodes.has(node)) throw new StatusError('NOT_FOUND', `this host has no node ${node}`);
      for await (const batch of trace.read(node, caller.signal)) yield batchToWire(batch);
    },
  };
}
