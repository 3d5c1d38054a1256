/**
 * The signer of a test's node: its hsm_secret and state are in the working directory, as hsmd has them, and whoever calls
 * lightningd is the owner. KEYHOLD_POLICY and KEYHOLD_NEW_STATE are as for the inline signer (cli/inline.ts).
 */

import { exists, type OpenPolicy, openPolicy, readPolicy } from '../../cli/policy_of.ts';
import { systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import type { TlsIdentity } from '../../proto/grpc.ts';
import { jsonLines } from '../../proto/log.ts';
import { Signer } from '../../signer/dispatch.ts';
import { backend } from '../../signer/node/backends.ts';
import { keepAttached } from '../../signer/node/link.ts';
import { secretFile } from '../../signer/node/secret_file.ts';
import { Session } from '../../signer/session.ts';

/** What this side of a test's node is made of. */
export const parts = {
  clock: systemClock,
  entropy: systemEntropy,
  log: jsonLines((line) => process.stderr.write(line), Date.now),
};

const secp = backend(undefined, systemEntropy);

async function policyHere(): Promise<OpenPolicy> {
  const { KEYHOLD_POLICY, KEYHOLD_NEW_STATE } = process.env;
  return openPolicy({
    ...parts,
    secp,
    file: await readPolicy(KEYHOLD_POLICY, secp),
    folder: 'keyhold-state',
    begin: KEYHOLD_NEW_STATE === '1' || !(await exists('hsm_secret')),
    owner: 'local',
    link: { chainRequired: false },
  });
}

/** Opens the state, then stays attached to a host (`host:port`) until the signal aborts. */
export async function signHere(address: string, identity: TlsIdentity, signal: AbortSignal): Promise<void> {
  const secret = secretFile({ path: 'hsm_secret', passphrase: undefined, create: true, entropy: systemEntropy });
  await using opened = await policyHere();
  const signer = new Signer({ secp, secret, policy: opened.policy });
  const about = { id: systemEntropy(16), name: 'test', software: 'test', signal };
  const session = new Session({ ...parts, ...about, signer, companions: opened.companions });
  await keepAttached({ ...parts, session, address, identity }, signal);
}
