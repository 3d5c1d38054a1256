/** A channel of which host and peer show each side's commitments as they like, one step after the other. */

import type { Htlc } from '../../../proto/hsmd/fields.ts';
import type { Side } from '../../../signer/lightning/channel.ts';
import { type ChannelOptions, TestChannel } from './channel.ts';
import type { Terms } from './terms.ts';
import { Refused, type World } from './world.ts';

/** What a step does to the terms of one side's commitment. */
type Change = (terms: Terms) => Terms;

export class TwoStories {
  readonly channel: TestChannel;
  readonly terms: { [S in Side]: Terms };

  constructor(channel: TestChannel) {
    this.channel = channel;
    const now = channel.updates.terms(channel.updates.signed.local);
    this.terms = { local: now, remote: now };
  }

  static async open(world: World, options: ChannelOptions): Promise<TwoStories> {
    return new TwoStories(await TestChannel.open(world, options));
  }

  /** Signs the next commitment of a side and revokes the one before. */
  async step(side: Side, ...changes: readonly Change[]): Promise<void> {
    const next = changes.reduce((terms, change) => change(terms), this.terms[side]);
    if (side === 'remote') {
      await this.channel.signTheirs({ terms: () => next });
      await this.channel.theyRevoke();
    } else {
      await this.channel.signOurs({ terms: () => next });
      await this.channel.weRevoke();
    }
    this.terms[side] = next;
  }

  async both(...changes: readonly Change[]): Promise<void> {
    await this.step('remote', ...changes);
    await this.step('local', ...changes);
  }
}

/** Whether the policy says no. */
export async function isRefused(request: Promise<unknown>): Promise<boolean> {
  try {
    await request;
    return false;
  } catch (error: unknown) {
    if (error instanceof Refused && error.tag.startsWith('policy-')) return true;
    throw error;
  }
}

/** What is ours in the newest commitments, the worse of both sides of each channel; msat. */
export function owned(channels: readonly TwoStories[]): bigint {
  return channels.reduce(
    (sum, { terms: { local, remote } }) => sum + (local.ours < remote.ours ? local.ours : remote.ours),
    0n,
  );
}

const parts = {
  local: { offerer: 'ours', receiver: 'theirs' },
  remote: { offerer: 'theirs', receiver: 'ours' },
} as const;

const without = ({ htlcs }: Terms, htlc: Htlc) => htlcs.filter((each) => each !== htlc);

export function add(htlc: Htlc): Change {
  const { offerer } = parts[htlc.side];
  return (terms) => ({ ...terms, [offerer]: terms[offerer] - htlc.amount, htlcs: [...terms.htlcs, htlc] });
}

export function paid(htlc: Htlc): Change {
  const { receiver } = parts[htlc.side];
  return (terms) => ({ ...terms, [receiver]: terms[receiver] + htlc.amount, htlcs: without(terms, htlc) });
}

export function failed(htlc: Htlc): Change {
  const { offerer } = parts[htlc.side];
  return (terms) => ({ ...terms, [offerer]: terms[offerer] + htlc.amount, htlcs: without(terms, htlc) });
}

/** An HTLC of ours that this commitment does not list. */
export function hidden(htlc: Htlc): Change {
  return (terms) => ({ ...terms, ours: terms.ours - htlc.amount });
}

/** And was paid. */
export function hiddenPaid(htlc: Htlc): Change {
  return (terms) => ({ ...terms, theirs: terms.theirs + htlc.amount });
}
