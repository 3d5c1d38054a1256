/**
 * The same relay as Greenlight's protocol shows it: `greenlight.Node` lets its signers serve a node of ours,
 * `greenlight.Hsm` takes the requests of its stand-in for lightning_hsmd. The state that its signers keep with a host
 * is neither stored nor sent: these views carry requests and replies.
 */

import type { ClientIdentity } from '../proto/answer.ts';
import { toHex } from '../proto/bytes.ts';
import type { Entropy } from '../proto/entropy.ts';
import type { Hsm, HsmRequestContext, Node } from '../proto/gen/greenlight/greenlight_pb.ts';
import { type Caller, type Implementation, StatusError } from '../proto/grpc.ts';
import { callOf } from '../proto/hsmd/message.ts';
import { nodeOf } from './certificate_name.ts';
import { GreenlightPort } from './greenlight_port.ts';
import type { Lane } from './lane.ts';
import { ownAnswer } from './own_answer.ts';
import { refusalReply } from './refusal.ts';
import { lightningd, type Relay } from './relay.ts';

export interface GreenlightOptions {
  readonly relayOf: (node: string) => Relay;
  readonly entropy: Entropy;
}

function relayFor({ commonName }: Caller, { relayOf }: GreenlightOptions): Relay {
  const node = nodeOf(commonName);
  if (node === undefined)
    throw new StatusError('PERMISSION_DENIED', `this certificate is for no node: ${commonName ?? 'it has no name'}`);
  return relayOf(node);
}

/** For signers: requests on a stream, responses by call. */
export function greenlightNode(options: GreenlightOptions): Implementation<typeof Node> {
  const ports = new Map<Relay, Set<GreenlightPort>>();
  return {
    async *streamHsmRequests(_request, caller) {
      const relay = relayFor(caller, options);
      const port = new GreenlightPort(caller.address, toHex(options.entropy(16)));
      const streams = ports.get(relay) ?? new Set();
      ports.set(relay, streams.add(port));
      const end = () => {
        streams.delete(port);
        relay.signers.detach(port, 'lost');
        port[Symbol.dispose]();
      };
      caller.signal.addEventListener('abort', end);
      try {
        relay.signers.attach(port);
        yield* port.outbox;
      } finally {
        end();
      }
    },
    async respondHsmRequest(response, caller) {
      const relay = relayFor(caller, options);
      for (const port of ports.get(relay) ?? []) if (port.receive(response)) break;
      return {};
    },
  };
}

function identityOf(context: HsmRequestContext | undefined): ClientIdentity {
  if (context === undefined) return lightningd;
  const { nodeId, dbid, capabilities } = context;
  if (nodeId.length !== 33)
    throw new StatusError('INVALID_ARGUMENT', `expected a node id of 33 bytes, got ${nodeId.length}`);
  return { nodeId, dbid, capabilities };
}

/** For a stand-in: one call waits for one response; an error makes it close the connection the request came from. */
export function greenlightHsm(options: GreenlightOptions): Implementation<typeof Hsm> {
  const lanes = new WeakMap<Relay, Map<string, Lane>>();
  const laneOf = (relay: Relay, client: ClientIdentity): Lane => {
    const known = lanes.get(relay) ?? new Map<string, Lane>();
    lanes.set(relay, known);
    const key = `${toHex(client.nodeId)} ${client.dbid} ${client.capabilities}`;
    const lane = known.get(key) ?? relay.openLane(client);
    known.set(key, lane);
    return lane;
  };
  return {
    ping: async () => ({}),
    async request({ requestId, raw: bytes, context }, caller) {
      const relay = relayFor(caller, options);
      const client = identityOf(context);
      const own = ownAnswer(client, context === undefined, bytes, false);
      const answer = own ?? (await relay.ask(laneOf(relay, client), bytes, caller.signal));
      if (answer.kind === 'reply') return { requestId, raw: answer.bytes };
      if (answer.kind === 'silent') return { requestId };
      if (answer.kind === 'malformed') throw new StatusError('INVALID_ARGUMENT', answer.message);
      const call = callOf(bytes);
      const no = { request: bytes, reason: answer.message, entropy: options.entropy };
      const raw = call && refusalReply(call, client, no);
      if (raw !== undefined) return { requestId, raw };
      throw new StatusError(answer.kind === 'refused' ? 'FAILED_PRECONDITION' : 'UNAVAILABLE', answer.message);
    },
  };
}
