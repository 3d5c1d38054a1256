/** Something that recordings can be played to: the signer in this process, or real executables in lightningd's place. */

import type { RecordedRequest, RecordedSession } from './recordings.ts';

/** What came back: the reply's bytes, nothing where none is due, or a refusal in whichever way the target refuses. */
export type Outcome = Uint8Array | 'silent' | 'refused';

/** A refusal by a rule of the policy's, where the target can say which. */
export interface Broken {
  readonly rule: string;
  readonly message: string;
}

/** One hsmd, from `init` to its end. */
export interface TargetSession<O = Outcome> extends AsyncDisposable {
  ask(request: RecordedRequest): Promise<O>;
}

export interface Target<O = Outcome> extends AsyncDisposable {
  /** Starts an hsmd for a session, with its hsm_secret file. */
  open(recorded: RecordedSession): Promise<TargetSession<O>>;
}
