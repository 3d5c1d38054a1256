// keyhold.v1.Host: what a host tells about its nodes, to their signers and to operators.

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Clock } from '../proto/clock.ts';
import { type Host, type NodeStatusSchema, SignerState } from '../proto/gen/keyhold/v1/host_pb.ts';
import { type Implementation, StatusError } from '../proto/grpc.ts';
import { hsmdName } from '../proto/hsmd/calls.ts';
import { nodeSeenBy } from './certificate_name.ts';
import type { HostedNode } from './hosted_node.ts';
import type { NodeFiles } from './node_files.ts';
import type { SignerPort } from './signer_port.ts';
import type { StateCopy } from './state_copy.ts';

type NodeStatusInit = MessageInitShape<typeof NodeStatusSchema>;

function shimStatus({ attached }: HostedNode): NodeStatusInit['shim'] {
  if (attached === undefined) return undefined;
  const { developer, lightningd } = attached.shim.hello;
  const connections = attached.run
    .conns()
    .map(({ number, client: { dbid, capabilities } }) => ({ number, dbid, capabilities }));
  return { developer, lightningdVersion: lightningd, connections };
}

/** How one node is. */
export function nodeStatus(node: HostedNode, clock: Clock, copy: StateCopy | undefined): NodeStatusInit {
  const { relay, name } = node;
  const since = (moment: number) => BigInt(Math.max(0, Math.trunc(clock.now() - moment)));
  const { replied, refused, malformed, unavailable, local } = relay.counts;
  const shim = shimStatus(node);
  const { sentAway } = relay.signers;
  return {
    name,
    ...(shim !== undefined && { shim }),
    waiting: relay.waiting().map(({ request, holder }) => ({
      id: request.id,
      call: hsmdName(request.call),
      dbid: request.lane.client.dbid,
      ageMs: since(request.since),
      offered: holder !== undefined,
    })),
    signers: relay.signers.list().map(({ port, since: attachedAt, active }) => ({
      name: port.name,
      software: port.software,
      state: active ? SignerState.ACTIVE : SignerState.STANDBY,
      roundTripUs: port.roundTripUs,
      attachedMs: since(attachedAt),
      ...reportOf(port),
    })),
    counts: {
      replied: BigInt(replied),
      refused: BigInt(refused),
      malformed: BigInt(malformed),
      unavailable: BigInt(unavailable),
      local: BigInt(local),
    },
    lease: relay.signers.lease,
    undecided: relay.undecided,
    calls: [...relay.tally.byCall()].map(([call, { asked, ahead, known, acknowledged }]) => ({
      call: hsmdName(call),
      asked: BigInt(asked),
      ahead: BigInt(ahead),
      known: BigInt(known),
      acknowledged: BigInt(acknowledged),
    })),
    ...(sentAway && { sentAway: { signer: sentAway.signer, reason: sentAway.reason, ageMs: since(sentAway.at) } }),
    ...(copy && { copy: { version: copy.version, ageMs: since(Number(copy.head?.storedMs ?? clock.now())) } }),
  };
}

function reportOf({ report }: SignerPort) {
  return report && { ...report, inactive: [...report.inactive], weakened: [...report.weakened] };
}

/** The service; `nodes` are those of the host by name. */
export function hostStatus(
  nodes: ReadonlyMap<string, HostedNode>,
  boot: Uint8Array,
  clock: Clock,
  files: NodeFiles | undefined,
): Pick<Implementation<typeof Host>, 'status'> {
  return {
    status: async (request, caller) => {
      const wanted = nodeSeenBy(caller, request.node);
      const status = (node: HostedNode) => nodeStatus(node, clock, files?.openCopyOf(node.name));
      if (wanted === undefined) return { boot, nodes: [...nodes.values()].map(status) };
      const node = nodes.get(wanted);
      if (node === undefined) throw new StatusError('NOT_FOUND', `this host has no node ${wanted}`);
      return { boot, nodes: [status(node)] };
    },
  };
}
