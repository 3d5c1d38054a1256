// What lightningd said when it started, and telling it to a signer that attaches later: a signer answers nothing before
// init, and one with other keys must not answer at all.

import type { Answer } from '../proto/answer.ts';
import { equalBytes, toHex } from '../proto/bytes.ts';
import { calls } from '../proto/hsmd/calls.ts';
import { decodeMessage, messageType } from '../proto/hsmd/message.ts';
import { misfit } from './fitting.ts';
import type { Initialised } from './signers.ts';

export interface Start {
  /** `hsmd_dev_preinit`, where lightningd runs in developer mode. */
  readonly preinit: Uint8Array | undefined;
  /** `hsmd_init`. */
  readonly init: Uint8Array;
  /** The node id in the first reply, 33 bytes. */
  readonly nodeId: Uint8Array;
}

/** The node id in a reply to init, undefined where init failed. */
export function nodeIdOf(reply: Uint8Array): Uint8Array | undefined {
  if (messageType(reply) !== calls.init.reply.number) return undefined;
  return Uint8Array.from(decodeMessage(calls.init.reply, reply).nodeId);
}

/** Whether lightningd's developer asked for every preapproval to be answered no. */
export function preapprovesNothing({ preinit }: Start): boolean {
  return preinit !== undefined && decodeMessage(calls.devPreinit.request, preinit).tlvs.failPreapprove === true;
}

/** Whether a signer that answered a repeated init so is the same node's. */
export function judge(start: Start, answer: Answer): Initialised {
  if (answer.kind === 'unavailable') return 'again';
  if (answer.kind !== 'reply') {
    const why = 'message' in answer ? answer.message : answer.kind;
    return { unfit: `it does not initialise: ${why}` };
  }
  if (misfit('init', answer) !== undefined) return { unfit: 'its reply to init cannot be read' };
  const nodeId = nodeIdOf(answer.bytes);
  if (nodeId === undefined) return { unfit: 'it cannot read its keys' };
  if (equalBytes(nodeId, start.nodeId)) return 'ready';
  return { unfit: `it holds the keys of another node: expected ${toHex(start.nodeId)}, got ${toHex(nodeId)}` };
}
