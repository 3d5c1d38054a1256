/** TEMPORARY: stands in for channel checks that are not there yet. */
import { toHex } from '../../../proto/bytes.ts';
import { checks } from '../../../signer/policy/checks.ts';
import { freshChannel } from '../../../signer/state/channel_state.ts';

if (checks.newChannel === undefined)
  Object.assign(checks, {
    newChannel: (_scope: unknown, r: { peerId: Uint8Array; dbid: bigint }) => ({
      changes: { channel: freshChannel(toHex(r.peerId), r.dbid) },
    }),
    setupChannel: (s: any, r: any) => {
      const c = s.context.client;
      const old = s.state.channel(c.nodeId, c.dbid) ?? freshChannel(toHex(c.nodeId), c.dbid);
      const outpoint = `${toHex(r.fundingTxid)}:${r.fundingTxout}`;
      const mine = r.isOutbound ? r.channelValue - r.pushValue / 1000n : r.pushValue / 1000n;
      const base = {
        outpoint,
        value: r.channelValue,
        remotePubkey: r.remoteFundingPubkey.slice(),
        splicedFrom: undefined,
        live: true,
        pushed: 0n,
        walletInputs: new Map(),
      };
      const first = old.fundings[0];
      let ourShift = old.setup ? mine - old.ourInitial : 0n;
      if (c.capabilities === 447n)
        ourShift = first.ourShift + (r.channelValue - first.value) - BigInt.asIntN(64, r.pushValue);
      const exists = old.fundings.some((x: any) => x.outpoint === outpoint);
      const fundings = exists ? old.fundings : [...old.fundings, { ...base, ourShift }];
      return {
        changes: {
          channel: { ...old, setup: old.setup ?? r, ourInitial: old.setup ? old.ourInitial : mine, fundings },
        },
      };
    },
  });
