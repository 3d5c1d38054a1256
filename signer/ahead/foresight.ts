/**
 * Answers to requests before they are asked. Each expected request goes through the signer's one entrance, as its client
 * would have it: what the policy refuses is not given, what it allows counts as given, and its state moves on.
 */

import type { Answer, AnswerAhead, ClientIdentity } from '../../proto/answer.ts';
import { fromHex } from '../../proto/bytes.ts';
import type { Call, Request, RequestOf } from '../../proto/hsmd/calls.ts';
import { callOf, decodeRequest } from '../../proto/hsmd/message.ts';
import { sha256 } from '../crypto/hash.ts';
import type { Secp } from '../crypto/secp.ts';
import type { NodeKeys } from '../keys/node_keys.ts';
import type { Policy } from '../policy/policy.ts';
import { type ChannelState, highest } from '../state/channel_state.ts';
import { channelKey } from '../state/state.ts';
import { revocableOutput } from './penalty.ts';
import { type Memory, type Prediction, predictions, type RememberedChannel } from './predictions.ts';

export interface ForesightParts {
  readonly secp: Secp;
  readonly policy: Policy;
  readonly handle: (client: ClientIdentity, bytes: Uint8Array) => Promise<Answer>;
}

/** Channels that are remembered beside the policy's own state: a policy that keeps none has only these. */
const mostChannels = 4096;
/** Channels whose points go with the reply to init: more would make the start wait for them. */
const mostAtStart = 64;

/** Commitments of the peer's that may be revoked next: two, and as many more for each funding that a splice has made. */
const mostRevocable = 8;
/** Calls whose fields are remembered as they came. */
const kept: ReadonlySet<Call> = new Set<Call>(['setupChannel', 'signPenaltyToUs']);
const nothing: RememberedChannel = { setup: undefined, validated: -1n, revocable: [], penalty: undefined };

export class Foresight {
  readonly #parts: ForesightParts;
  readonly #channels = new Map<string, RememberedChannel>();

  constructor(parts: ForesightParts) {
    this.#parts = parts;
  }

  /** The answers that go with the reply to a request. */
  async after(
    keys: NodeKeys,
    client: ClientIdentity,
    bytes: Uint8Array,
    reply: Uint8Array,
  ): Promise<readonly AnswerAhead[]> {
    const call = callOf(bytes);
    if (call === undefined || (predictions[call] === undefined && !kept.has(call))) return [];
    // A copy where it is to be remembered: what is read are views of a larger message.
    const request = decodeRequest(kept.has(call) ? bytes.slice() : bytes, this.#parts.secp);
    this.#remember(client, request);
    const expected = this.#predict(this.#memory(keys), client, request, reply);
    const answers: AnswerAhead[] = [];
    for (const { client: asker, request: next, stays } of expected) {
      const answer = await this.#parts.handle(asker, next);
      if (answer.kind !== 'reply') continue;
      const { nodeId, dbid } = asker;
      const isOther = dbid !== client.dbid || channelKey(nodeId, dbid) !== channelKey(client.nodeId, client.dbid);
      const requestSha256 = sha256(next);
      answers.push({ requestSha256, reply: answer.bytes, stays, ...(isOther && { client: { nodeId, dbid } }) });
    }
    return answers;
  }

  #predict(memory: Memory, client: ClientIdentity, { call, fields }: Request, reply: Uint8Array) {
    // A request's fields go to the prediction of the same call; TypeScript cannot follow the pairing through the union.
    const prediction = predictions[call] as Prediction<Call> | undefined;
    return prediction?.(memory, client, fields as RequestOf<Call>, reply) ?? [];
  }

  #memory(keys: NodeKeys): Memory {
    const { secp, policy } = this.#parts;
    return {
      secp,
      keys,
      channel: (client) => this.#channel(client),
      channels: () =>
        [...(policy.channels?.()?.values() ?? [])].slice(-mostAtStart).map((state) => ({
          ...nothing,
          ...remembered(state),
          client: { nodeId: fromHex(state.peer), dbid: state.dbid, capabilities: 447n },
        })),
    };
  }

  #channel({ nodeId, dbid }: ClientIdentity): RememberedChannel | undefined {
    const key = channelKey(nodeId, dbid);
    const known = this.#channels.get(key);
    const state = this.#parts.policy.channels?.()?.get(key);
    return state === undefined ? known : { ...nothing, ...known, ...remembered(state) };
  }

  #remember({ nodeId, dbid }: ClientIdentity, request: Request): void {
    const key = channelKey(nodeId, dbid);
    const before = this.#channels.get(key) ?? nothing;
    const change = news(before, request);
    if (change === undefined) return;
    this.#channels.delete(key);
    this.#channels.set(key, { ...before, ...change });
    const [oldest] = this.#channels.keys();
    if (this.#channels.size > mostChannels && oldest !== undefined) this.#channels.delete(oldest);
  }
}

/** What a request says of its channel. */
function news({ revocable }: RememberedChannel, { call, fields }: Request): Partial<RememberedChannel> | undefined {
  switch (call) {
    case 'setupChannel':
      return { setup: fields };
    case 'validateCommitmentTx':
      return { validated: fields.commitNum };
    case 'signRemoteCommitmentTx': {
      const output = revocableOutput(fields);
      return output && { revocable: [...revocable, output].slice(-mostRevocable) };
    }
    case 'signPenaltyToUs':
      fields.revocationSecret[Symbol.dispose]();
      return { penalty: fields.tx };
    default:
      return undefined;
  }
}

function remembered({ setup, sides }: ChannelState): Pick<RememberedChannel, 'setup' | 'validated'> {
  return { setup, validated: highest(sides.local) };
}
