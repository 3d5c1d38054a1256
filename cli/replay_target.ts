/** Something that recordings can be played to: the signer in this process, or real executables in lightningd's place. */

import type { RecordedRequest } from './recordings.ts';

/** What came back: the reply's bytes, nothing where none is due, or a refusal in whichever way the target refuses. */
export type Outcome = Uint8Array | 'silent' | 'refused';

/** One hsmd, from `init` to its end. */
export interface TargetSession extends AsyncDisposable {
  ask(request: RecordedRequest): Promise<Outcome>;
}

export interface Target extends AsyncDisposable {
  /** Starts an hsmd with the given hsm_secret file. */
  open(secretFile: Uint8Array): Promise<TargetSession>;
}
