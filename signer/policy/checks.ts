/** Every call's check. A call that is missing here does not compile: what needs none says so. */

import type { Call } from '../../proto/hsmd/calls.ts';
import { bumpChecks } from './anchor.ts';
import { channelChecks } from './channel.ts';
import { closeChecks } from './close.ts';
import { commitmentChecks } from './commitment.ts';
import { gossipChecks } from './gossip.ts';
import { htlcChecks } from './htlc.ts';
import { messageChecks } from './message.ts';
import { paymentChecks } from './payment.ts';
import { revocationChecks } from './revocation.ts';
import type { Checks } from './scope.ts';
import { spliceChecks } from './splice.ts';
import { sweepChecks } from './sweep.ts';
import { walletChecks } from './wallet.ts';

/** What comes before the keys, or is about the signer itself: answered by dispatch.ts. */
type Unchecked = 'init' | 'devPreinit' | 'clientHsmfd' | 'devMemleak';

const all: Checks<Exclude<Call, Unchecked>> = {
  ...bumpChecks,
  ...channelChecks,
  ...closeChecks,
  ...commitmentChecks,
  ...gossipChecks,
  ...htlcChecks,
  ...messageChecks,
  ...paymentChecks,
  ...revocationChecks,
  ...spliceChecks,
  ...sweepChecks,
  ...walletChecks,
};

export const checks: Partial<Checks<Call>> = all;
