/** Plays recordings to a signer in this process. */

import type { Secret } from '../proto/secret.ts';
import type { Secp } from '../signer/crypto/secp.ts';
import { Signer } from '../signer/dispatch.ts';
import { openHsmSecret } from '../signer/keys/hsm_secret.ts';
import { noPolicy } from '../signer/policy/policy.ts';
import type { RecordedRequest } from './recordings.ts';
import type { Outcome, Target, TargetSession } from './replay_target.ts';

export function inProcess(secp: Secp): Target {
  return {
    open: (secretFile) => Promise.resolve(session(secp, secretFile)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function session(secp: Secp, secretFile: Uint8Array): TargetSession {
  const signer = new Signer({
    secp,
    secret: { open: (passphrase: Secret | undefined) => openHsmSecret(secretFile, passphrase) },
    policy: noPolicy,
  });
  return {
    async ask({ client, bytes }: RecordedRequest): Promise<Outcome> {
      const answer = await signer.handle(client, bytes);
      if (answer.kind === 'reply') return answer.bytes;
      return answer.kind === 'silent' ? 'silent' : 'refused';
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
