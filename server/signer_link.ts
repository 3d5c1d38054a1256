// keyhold.v1.SignerLink as the host serves it: who may attach to which node, and the life of one stream.

import type { Clock } from '../proto/clock.ts';
import type { FromSigner, Hello, SignerLink } from '../proto/gen/keyhold/v1/signer_link_pb.ts';
import { type Caller, type Implementation, StatusError } from '../proto/grpc.ts';
import { linkProtocol, type ToSignerInit } from '../proto/link.ts';
import { errorText, type Log } from '../proto/log.ts';
import { nodeFor } from './certificate_name.ts';
import type { ChainSource } from './chain_source.ts';
import { heldState, wholeCopy } from './copy_link.ts';
import { LinkPort } from './link_port.ts';
import type { NodeFiles } from './node_files.ts';
import type { Relay } from './relay.ts';
import type { Departure } from './signers.ts';
import type { StateCopy } from './state_copy.ts';

export interface SignerLinkOptions {
  /** What this host keeps of its nodes; undefined: nothing. */
  readonly files: NodeFiles | undefined;
  /** Where news of the chain comes from; undefined: there is none. */
  readonly chain: ChainSource | undefined;
  /** The relay of a node, made where there is none yet. */
  readonly relayOf: (node: string) => Relay;
  readonly boot: Uint8Array;
  readonly heartbeatMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long a signer may take to say hello, in milliseconds. */
const helloMs = 10_000;

async function firstHello(messages: AsyncIterator<FromSigner>, clock: Clock): Promise<Hello> {
  let cancel = () => {};
  const late = new Promise<never>((_resolve, reject) => {
    cancel = clock.after(helloMs, () => reject(new StatusError('DEADLINE_EXCEEDED', 'expected a hello, got nothing')));
  });
  const first = await Promise.race([messages.next(), late]).finally(() => cancel());
  const message = first.done === true ? undefined : first.value.message;
  if (message?.case !== 'hello')
    throw new StatusError('INVALID_ARGUMENT', `expected a hello first, got ${message?.case ?? 'nothing'}`);
  const { protocol, session } = message.value;
  if (protocol !== linkProtocol)
    throw new StatusError(
      'FAILED_PRECONDITION',
      `expected protocol ${linkProtocol}, got ${protocol}: update the older side`,
    );
  if (session.length !== 16)
    throw new StatusError('INVALID_ARGUMENT', `expected a session of 16 bytes, got ${session.length}`);
  return message.value;
}

/** Takes what the signer says until it ends, well or badly, and detaches it then. */
async function listen(port: LinkPort, messages: AsyncIterator<FromSigner>, relay: Relay): Promise<void> {
  let departure: Departure = 'lost';
  try {
    for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
      if (!port.receive(next.value)) continue;
      departure = 'goodbye';
      break;
    }
  } catch (error: unknown) {
    port.outbox.fail(error);
  } finally {
    relay.signers.detach(port, departure);
    port[Symbol.dispose]();
  }
}

/** The copy of a node's state. A signer whose copy cannot be kept is served all the same: its own state is what counts. */
async function copyFor(node: string, { files, log }: SignerLinkOptions): Promise<StateCopy | undefined> {
  try {
    return await files?.copyOf(node);
  } catch (error: unknown) {
    log('error', 'no copy of the signer’s state is kept', { node, error: errorText(error) });
    return undefined;
  }
}

async function* attach(
  requests: AsyncIterable<FromSigner>,
  caller: Caller,
  options: SignerLinkOptions,
): AsyncGenerator<ToSignerInit, void> {
  const { relayOf, boot, heartbeatMs, clock, log, chain } = options;
  const node = nodeFor(caller);
  const messages = requests[Symbol.asyncIterator]();
  const hello = await firstHello(messages, clock);
  const relay = relayOf(node);
  const copy = await copyFor(node, options);
  const onProblem = (said: LinkPort) => relay.signers.doubt(said);
  const port = new LinkPort({ hello, node, boot, heartbeatMs, clock, log, copy, chain, onProblem });
  relay.signers.attach(port);
  void listen(port, messages, relay);
  try {
    yield* port.outbox;
  } finally {
    relay.signers.detach(port, 'lost');
    port[Symbol.dispose]();
  }
}

/** The service, for one host. */
export function signerLink(options: SignerLinkOptions): Implementation<typeof SignerLink> {
  return {
    attach: (requests, caller) => attach(requests, caller, options),
    async *fetchState(_request, caller) {
      const node = nodeFor(caller);
      options.relayOf(node); // only of nodes that are served here
      const copy = await options.files?.copyOf(node);
      if (copy?.head === undefined) throw new StatusError('NOT_FOUND', 'this host has no copy of the signer’s state');
      const pieces = [...wholeCopy(copy)];
      yield { state: heldState(copy) };
      for (const entries of pieces) yield { entries: [...entries] };
    },
  };
}
