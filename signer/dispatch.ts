/**
 * The signer's one entrance: a request of a client in, exactly one answer out. Decode, check the client's capability,
 * ask the policy, run the handler; whatever is thrown on the way becomes an answer here and nowhere else.
 */

import type { Answer, AnswerAhead, ClientIdentity } from '../proto/answer.ts';
import { toHex } from '../proto/bytes.ts';
import {
  type Call,
  calls,
  capabilities,
  hsmdName,
  initReplyFailure,
  type ReplyOf,
  type Request,
} from '../proto/hsmd/calls.ts';
import { toWirestring, WireError } from '../proto/hsmd/codec.ts';
import { callOf, decodeRequest, encodeMessage, encodeReply } from '../proto/hsmd/message.ts';
import type { SignedRequest } from '../proto/signed_request.ts';
import { Foresight } from './ahead/foresight.ts';
import { BadRequest, type Context, type Handler, type Handlers } from './context.ts';
import type { Secp } from './crypto/secp.ts';
import { channelHandlers } from './handlers/channel.ts';
import { commitmentHandlers } from './handlers/commitment.ts';
import { messageHandlers } from './handlers/messages.ts';
import { nodeHandlers } from './handlers/node.ts';
import { sweepHandlers } from './handlers/sweep.ts';
import { walletHandlers } from './handlers/wallet.ts';
import { HsmSecretError } from './keys/hsm_secret.ts';
import type { Policy } from './policy/policy.ts';
import { DeviceError, Refusal } from './refusal.ts';
import { initReply, type Preinit, type SecretSource, type Started, start } from './startup.ts';
import { StoreError } from './store/store.ts';

/** Calls answered here, since they come before the keys or are about the signer itself. */
type SignerCall = 'init' | 'devPreinit' | 'clientHsmfd' | 'devMemleak';

const handlers: Handlers<Exclude<Call, SignerCall>> = {
  ...nodeHandlers,
  ...channelHandlers,
  ...commitmentHandlers,
  ...sweepHandlers,
  ...walletHandlers,
  ...messageHandlers,
};

export interface SignerParts {
  readonly secp: Secp;
  readonly secret: SecretSource;
  readonly policy: Policy;
}

const noPreinit: Preinit = { failPreapprove: false, noPreapproveCheck: false };

export class Signer {
  readonly #parts: SignerParts;
  readonly #foresight: Foresight;
  /** Asked for the next init. */
  #preinit = noPreinit;
  /** What the last init settled, with what was asked for it. */
  #started: (Started & Preinit) | undefined;

  constructor(parts: SignerParts) {
    this.#parts = parts;
    this.#foresight = new Foresight({ ...parts, handle: (client, bytes) => this.handle(client, bytes) });
  }

  /** Whether its policy says yes to every preapproval. */
  get approvesPayments(): boolean {
    return this.#parts.policy.approvesPayments === true;
  }

  /** The node's id, 33 bytes, once `init` was answered. */
  get nodeId(): Uint8Array | undefined {
    return this.#started?.keys.node.point;
  }

  /** Takes a client's request that the host shows as its reason for what it will ask. Never rejects. */
  show(request: SignedRequest): Promise<void> {
    return this.#parts.policy.show(request);
  }

  /** Answers one request; `acknowledged` where the node may have the reply already. Never rejects. */
  async handle(
    client: ClientIdentity,
    bytes: Uint8Array,
    _signal?: AbortSignal,
    acknowledged = false,
  ): Promise<Answer> {
    try {
      const name = callOf(bytes);
      if (name !== undefined && (client.capabilities & capabilities[calls[name].needs]) === 0n)
        throw new BadRequest(`this client may not ask ${hsmdName(name)}: it lacks the capability ${calls[name].needs}`);
      const request = decodeRequest(bytes, this.#parts.secp);
      const reply = await this.#answer(client, request, acknowledged);
      return reply === undefined ? { kind: 'silent' } : { kind: 'reply', bytes: reply };
    } catch (error: unknown) {
      const answer = answerTo(error);
      // The node takes it for done, so only a decision on it counts: not that this signer may not decide now.
      const undecided = acknowledged && answer.kind === 'refused' && answer.tag === 'policy-init';
      return undecided ? { kind: 'unavailable', message: answer.message } : answer;
    }
  }

  /** The answers to what lightningd is expected to ask after a request that was answered with `reply`. */
  async ahead(client: ClientIdentity, bytes: Uint8Array, reply: Uint8Array): Promise<readonly AnswerAhead[]> {
    const keys = this.#started?.keys;
    return keys === undefined ? [] : this.#foresight.after(keys, client, bytes, reply);
  }

  async #answer(client: ClientIdentity, request: Request, acknowledged: boolean): Promise<Uint8Array | undefined> {
    switch (request.call) {
      case 'devPreinit':
        this.#preinit = {
          failPreapprove: request.fields.tlvs.failPreapprove ?? this.#preinit.failPreapprove,
          noPreapproveCheck: request.fields.tlvs.noPreapproveCheck ?? this.#preinit.noPreapproveCheck,
        };
        return undefined;
      case 'init': {
        const { secp, secret, policy } = this.#parts;
        const preinit = this.#preinit;
        const started = await start(secp, secret, request.fields);
        await policy.start(request.fields, preinit, started);
        this.#started = { ...started, ...preinit };
        // It was for this start of lightningd; another one says it again.
        this.#preinit = noPreinit;
        return encodeReply('init', initReply(started, request.fields.bip32PubVersion, preinit));
      }
      case 'clientHsmfd':
        if (!this.#parts.secp.isPoint(request.fields.peerId))
          throw new BadRequest(`node id ${toHex(request.fields.peerId)} is no point`);
        return encodeReply('clientHsmfd', {});
      case 'devMemleak':
        return encodeReply('devMemleak', { leak: false });
      default:
        return this.#sign(client, request, acknowledged);
    }
  }

  #sign(
    client: ClientIdentity,
    request: Request & { readonly call: Exclude<Call, SignerCall> },
    acknowledged: boolean,
  ): Uint8Array | Promise<Uint8Array> {
    if (this.#started === undefined) throw new BadRequest(`expected init before ${hsmdName(request.call)}`);
    const { secp, policy } = this.#parts;
    const { keys, version, failPreapprove } = this.#started;
    const context: Context = { secp, keys, client, version, failPreapprove, acknowledged };
    // One request's fields go to the handler of the same call; TypeScript cannot follow the pairing through the union.
    const handler = handlers[request.call] as Handler<typeof request.call>;
    return policy.decide(context, request, () =>
      encodeReply(request.call, handler(context, request.fields as never) as ReplyOf<typeof request.call>),
    );
  }
}

function answerTo(error: unknown): Answer {
  if (error instanceof HsmSecretError) {
    const failure = { code: error.code, message: toWirestring(error.message) };
    return { kind: 'reply', bytes: encodeMessage(initReplyFailure, failure) };
  }
  if (error instanceof WireError || error instanceof BadRequest) return { kind: 'malformed', message: error.message };
  if (error instanceof Refusal) return { kind: 'refused', tag: error.tag, message: error.message };
  if (error instanceof DeviceError || error instanceof StoreError)
    return { kind: 'unavailable', message: error.message };
  return {
    kind: 'unavailable',
    message: `the signer failed: ${error instanceof Error ? error.message : 'unknown error'}`,
  };
}
