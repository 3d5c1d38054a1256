import test from 'ava';
import { fromHex, toHex } from '../../../proto/bytes.ts';
import { sha256Of } from '../../../signer/crypto/hash.ts';
import type { ChannelKeys } from '../../../signer/keys/channel_keys.ts';
import { channelNames } from '../../../signer/policy/channel_names.ts';
import { type Leave, useOf } from '../../../signer/policy/leave.ts';
import type { Purpose } from '../../../signer/policy/purpose.ts';
import type { Wish } from '../../../signer/policy/wish.ts';
import type { Setup } from '../../../signer/state/channel_state.ts';
import { momentOf } from './recorded_scope.ts';

const [low, high] = [new Uint8Array(33).fill(2), new Uint8Array(33).fill(3)];

/** A channel with this funding output, whose peer has this revocation basepoint. */
function names(vout: number, ours: Uint8Array, theirs: Uint8Array): readonly string[] {
  const fundingTxid = fromHex(`${'ab'.repeat(30)}0102`);
  const setup = { fundingTxid, fundingTxout: vout, remoteBasepoints: { revocation: theirs } } as Setup;
  return channelNames('02aa', setup, { basepoints: { revocation: ours } } as ChannelKeys);
}

test('a channel is called by its peer, by its funding and by its keys (BOLT 2)', (t) => {
  const byKeys = toHex(sha256Of(low, high));
  t.deepEqual(names(0, low, high), ['02aa', `${'ab'.repeat(30)}0102`, byKeys]);
  t.deepEqual(names(0x0301, high, low), ['02aa', `${'ab'.repeat(30)}0203`, byKeys]);
});

const allows = (wish: Wish, purpose: Purpose) => {
  const leave: Leave = { wish, usesLeft: 1, expires: 1, occasions: [] };
  return useOf([leave], purpose, 0) !== undefined;
};
const everything = 2_100_000_000_000_000n;

test('a recorded close to the owner’s address is what a close of that channel allows, and of no other', async (t) => {
  const asked: Purpose[] = [];
  const moment = await momentOf('varied/l2', 'signMutualCloseTx');
  await moment.judge(undefined, { approves: (purpose) => asked.push(purpose) > 0 });
  const [purpose] = asked;
  if (purpose?.kind !== 'closeTo') return t.fail();
  const wish = { kind: 'closeTo', target: purpose.script, amount: everything } as const;
  const own = purpose.channel ?? [];
  t.is(own.length, 3);
  for (const channel of own) t.true(allows({ ...wish, channel }, purpose), channel);
  t.false(allows({ ...wish, channel: 'ab'.repeat(32) }, purpose));
  return t.false(allows({ ...wish, target: '0014', channel: own[0] }, purpose));
});
