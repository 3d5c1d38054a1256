/** What the browser runs: the signer core, unchanged, answering a recorded trace. */

import { equalBytes, fromHex } from '../../proto/bytes.ts';
import type { Secret } from '../../proto/secret.ts';
import { tiny } from '../../signer/crypto/tiny.ts';
import { Signer } from '../../signer/dispatch.ts';
import { openHsmSecret } from '../../signer/keys/hsm_secret.ts';
import { noPolicy } from '../../signer/policy/policy.ts';

/** A recorded session with its bytes in hex, as JSON carries it into the page. */
export interface HexSession {
  readonly secretFile: string;
  readonly requests: readonly {
    readonly client: { readonly nodeId: string; readonly dbid: string; readonly capabilities: string };
    readonly bytes: string;
    readonly expected: string;
  }[];
}

/** Answers a session; returns how many replies were equal and what differed. */
export async function replay(
  session: HexSession,
): Promise<{ readonly equal: number; readonly different: readonly number[] }> {
  const secp = tiny((length) => crypto.getRandomValues(new Uint8Array(length)));
  const file = fromHex(session.secretFile);
  const open = (passphrase: Secret | undefined) => openHsmSecret(file, passphrase);
  const signer = new Signer({ secp, secret: { open }, policy: noPolicy });
  const different: number[] = [];
  for (const [row, { client, bytes, expected }] of session.requests.entries()) {
    const { nodeId, dbid, capabilities } = client;
    const answer = await signer.handle(
      { nodeId: fromHex(nodeId), dbid: BigInt(dbid), capabilities: BigInt(capabilities) },
      fromHex(bytes),
    );
    const same = answer.kind === 'reply' ? equalBytes(answer.bytes, fromHex(expected)) : answer.kind === expected;
    if (!same) different.push(row);
  }
  return { equal: session.requests.length - different.length, different };
}

declare global {
  var replayInPage: typeof replay;
}
globalThis.replayInPage = replay;
