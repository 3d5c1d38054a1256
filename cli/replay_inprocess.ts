/** Plays recordings to a signer in this process. */

import type { Secret } from '../proto/secret.ts';
import type { Secp } from '../signer/crypto/secp.ts';
import { Signer } from '../signer/dispatch.ts';
import { openHsmSecret } from '../signer/keys/hsm_secret.ts';
import type { Policy } from '../signer/policy/policy.ts';
import type { RecordedRequest, RecordedSession } from './recordings.ts';
import type { Broken, Outcome, Target, TargetSession } from './replay_target.ts';

/** The policy of one session, and what is to be closed after it. */
export interface SessionPolicy extends AsyncDisposable {
  readonly policy: Policy;
}

type Answered = Outcome | Broken;

export function inProcess(secp: Secp, policyOf: (recorded: RecordedSession) => SessionPolicy): Target<Answered> {
  return {
    open: (recorded) => Promise.resolve(session(secp, recorded.secretFile, policyOf(recorded))),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function session(secp: Secp, secretFile: Uint8Array, opened: SessionPolicy): TargetSession<Answered> {
  const signer = new Signer({
    secp,
    secret: { open: (passphrase: Secret | undefined) => openHsmSecret(secretFile, passphrase) },
    policy: opened.policy,
  });
  return {
    async ask({ client, bytes }: RecordedRequest): Promise<Answered> {
      const answer = await signer.handle(client, bytes);
      if (answer.kind === 'reply') return answer.bytes;
      if (answer.kind === 'refused') return { rule: answer.tag, message: answer.message };
      return answer.kind === 'silent' ? 'silent' : 'refused';
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
