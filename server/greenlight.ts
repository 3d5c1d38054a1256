/**
 * The same relay as Greenlight's protocol shows it: `greenlight.Node` lets its signers serve a node of ours,
 * `greenlight.Hsm` takes the requests of its stand-in for lightning_hsmd. The state that its signers keep with a host
 * is stored before the reply it came with goes on, and what changed in it goes with the next request.
 */

import type { ClientIdentity } from '../proto/answer.ts';
import { toHex } from '../proto/bytes.ts';
import type { Clock } from '../proto/clock.ts';
import type { Entropy } from '../proto/entropy.ts';
import type { Hsm, HsmRequestContext, Node } from '../proto/gen/greenlight/greenlight_pb.ts';
import { type Implementation, StatusError } from '../proto/grpc.ts';
import { callOf } from '../proto/hsmd/message.ts';
import { errorText, type Log } from '../proto/log.ts';
import { nodeFor } from './certificate_name.ts';
import { GreenlightPort } from './greenlight_port.ts';
import type { Lane } from './lane.ts';
import type { NodeFiles } from './node_files.ts';
import { ownAnswer } from './own_answer.ts';
import { refusalReply } from './refusal.ts';
import { lightningd, type Relay } from './relay.ts';

export interface GreenlightOptions {
  readonly relayOf: (node: string) => Relay;
  readonly entropy: Entropy;
  /** What this host keeps of its nodes; undefined: nothing. */
  readonly files: NodeFiles | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** For signers: requests on a stream, responses by call. */
export function greenlightNode(options: GreenlightOptions): Implementation<typeof Node> {
  const ports = new Map<Relay, Set<GreenlightPort>>();
  return {
    async *streamHsmRequests(_request, caller) {
      const node = nodeFor(caller);
      const relay = options.relayOf(node);
      const state = await options.files?.greenlightOf(node);
      const port = new GreenlightPort(caller.address, toHex(options.entropy(16)), state, options.clock);
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
      const node = nodeFor(caller);
      const relay = options.relayOf(node);
      const state = await options.files?.greenlightOf(node);
      const asked = [...(ports.get(relay) ?? [])].find((port) => port.hasAsked(response.requestId));
      try {
        const merge = await state?.merge(response.signerState);
        if (merge !== undefined) asked?.knows(merge);
        if (merge !== undefined && merge.conflicts > 0)
          options.log('warn', 'a signer gave state older than what is kept', { node, entries: merge.conflicts });
        asked?.receive(response);
      } catch (error: unknown) {
        options.log('error', 'the state of a signer could not be stored', { node, error: errorText(error) });
        asked?.receive({ ...response, error: 'the host could not store the state that came with it' });
      }
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
    async request({ requestId, raw: bytes, context, requests }, caller) {
      const relay = options.relayOf(nodeFor(caller));
      for (const shown of requests) relay.show(shown);
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
