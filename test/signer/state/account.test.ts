import test from 'ava';
import { type Account, balanceOf, channelLoss, entered, ourBalance } from '../../../signer/state/account.ts';
import type { ContentState } from '../../../signer/state/channel_state.ts';

const content = (parts: Partial<ContentState>): ContentState => ({
  txid: new Uint8Array(32),
  toLocal: undefined,
  toRemote: undefined,
  feerate: 1000,
  openerPays: 1784n,
  trimmed: 0n,
  ...parts,
});
const shown = (satoshi: bigint) => ({ least: satoshi * 1000n, most: satoshi * 1000n + 999n });
const opened: Account = { ours: 500_000_000n, lost: 0n };

test('what an output shows is a satoshi wide, and the opener’s fee is in it', (t) => {
  const ours = content({ toLocal: 1000n, toRemote: 5000n });
  t.deepEqual(ourBalance(ours, 'remote', 546n), { least: 1_000_000n, most: 1_000_999n });
  t.deepEqual(ourBalance(ours, 'local', 546n), { least: 2_784_000n, most: 2_784_999n });
});

test('without an output it is dust, and no more than nobody else has', (t) => {
  t.deepEqual(ourBalance(content({ toRemote: 5000n, trimmed: 900n }), 'remote', 546n), { least: 0n, most: 546_000n });
  t.deepEqual(ourBalance(content({ toRemote: 5000n, trimmed: 300n }), 'remote', 546n), { least: 0n, most: 300_000n });
  // The opener without an output paid less of the fee than is due.
  const broke = content({ toRemote: 5000n, trimmed: -1000n });
  t.deepEqual(ourBalance(broke, 'local', 546n), { least: 0n, most: 784_000n });
});

test('a satoshi that goes missing each time is counted each time', (t) => {
  let account = opened;
  for (let n = 1n; n <= 10n; n++) account = entered(account, 0n, shown(500_000n - n));
  t.deepEqual(account, { ours: 499_990_999n, lost: 9001n });
});

test('HTLCs move the account to the millisatoshi, and what is not shown stays in it', (t) => {
  const paid = entered(opened, -1_500n, shown(499_998n));
  t.deepEqual(paid, { ours: 499_998_500n, lost: 0n });
  const asDust = entered({ ours: 900_000n, lost: 0n }, 0n, { least: 0n, most: 1_000_000n });
  t.deepEqual(entered(asDust, 0n, shown(600n)), { ours: 600_999n, lost: 299_001n });
});

test('a gain is ours from then on, and makes up for no earlier loss', (t) => {
  const lower = entered(opened, 0n, shown(499_000n));
  const back = entered(lower, 0n, shown(500_000n));
  t.is(back.ours, 500_000_000n);
  t.is(back.lost, lower.lost);
  t.deepEqual(balanceOf(back), { least: 500_000_000n, most: 500_000_999n });
});

test('both sides of a channel lose the same once', (t) => {
  const side = (lost: bigint) => ({ account: { ours: 0n, lost } });
  t.is(channelLoss({ local: side(300n), remote: side(700n) }), 700n);
});
