/** `keyhold status`: both ends of each node, and what waits between them. */

import { toJson } from '@bufbuild/protobuf';
import {
  type CopyStatus,
  Host as HostService,
  type NodeStatus,
  NodeStatusSchema,
  SignerState,
  type SignerStatus,
} from '../proto/gen/keyhold/v1/host_pb.ts';
import { Channel } from '../proto/grpc.ts';
import { command, UsageError } from './command.ts';
import { dirOption, identityOf, noHost, type Role, roles } from './directory.ts';

function seconds(ms: bigint): string {
  return `${(Number(ms) / 1000).toFixed(1)} s`;
}

/** How many requests did not have to wait for the signer, and which did most. */
function roundTrips({ calls, undecided }: NodeStatus): readonly string[] {
  const total = (by: 'asked' | 'ahead' | 'known' | 'acknowledged') =>
    calls.reduce((sum, counts) => sum + counts[by], 0n);
  if (calls.length === 0) return [];
  const most = calls.filter(({ asked }) => asked > 0n).sort((a, b) => Number(b.asked - a.asked));
  const named = most.slice(0, 5).map(({ call, asked }) => `${call} ${asked}`);
  return [
    `  waited for  ${total('asked')} answers (${named.join(', ')}), not for ${total('ahead')} given ahead, ${total('known')} known, ${total('acknowledged')} acknowledged`,
    ...(undecided > 0 ? [`  undecided   ${undecided} that lightningd has the answer of`] : []),
  ];
}

/** What a signer says of its policy. */
function reported({ policy, inactive, weakened, problem }: SignerStatus): readonly string[] {
  if (policy === '') return [];
  return [
    `    policy    ${policy === 'none' ? 'none: it signs whatever it is asked' : policy}`,
    ...(inactive.length > 0 ? [`    not in force, for want of news of the chain: ${inactive.join(', ')}`] : []),
    ...weakened.map((sentence) => `    weakened  ${sentence}`),
    ...(problem === '' ? [] : [`    SIGNS NOTHING: ${problem}`]),
  ];
}

function copyAge({ version, ageMs }: CopyStatus): string {
  return version === 0n ? 'none yet' : `version ${version}, ${seconds(ageMs)} old`;
}

function lines(node: NodeStatus): readonly string[] {
  const { name, shim, signers, waiting, counts, lease, copy, sentAway } = node;
  const lightningd =
    shim === undefined
      ? 'not running, or its stand-in cannot reach this host'
      : `${shim.lightningdVersion || 'running'}, connections: ${shim.connections.length}${shim.developer ? ', developer mode' : ''}`;
  const attached = signers.flatMap((report) => {
    const { name: called, software, state, roundTripUs, attachedMs } = report;
    const role = state === SignerState.ACTIVE ? `active (lease ${lease})` : 'stands by';
    return [
      `  signer      ${called}, ${software}, ${role}, round trip ${(roundTripUs / 1000).toFixed(1)} ms, for ${seconds(attachedMs)}`,
      ...reported(report),
    ];
  });
  const away = sentAway && [`  sent away   ${sentAway.signer}, ${seconds(sentAway.ageMs)} ago: ${sentAway.reason}`];
  const queued = waiting.map(
    ({ call, dbid, ageMs, offered }) =>
      `  waits       ${call}${dbid === 0n ? '' : ` of channel ${dbid}`} for ${seconds(ageMs)}, ${offered ? 'the signer has it' : 'no signer has it'}`,
  );
  const answered =
    counts &&
    `  answered    ${counts.replied} by the signer, ${counts.local} by the host, ${counts.refused} refused, ${counts.malformed} malformed, ${counts.unavailable} not in time`;
  return [
    `node ${name}`,
    `  lightningd  ${lightningd}`,
    ...(attached.length > 0
      ? attached
      : ['  signer      none attached: start keyhold signer on the machine that has the key']),
    ...(away ?? []),
    ...(copy === undefined ? [] : [`  state copy  ${copyAge(copy)}`]),
    ...queued,
    ...(answered === undefined ? [] : [answered]),
    ...roundTrips(node),
  ];
}

export const status = command({
  name: 'status',
  summary: 'Show both ends of each node: lightningd, signers, and what waits.',
  explanation: 'Asks a running host. An operator’s certificate sees every node, a signer’s its own.',
  options: {
    dir: dirOption,
    host: { value: 'HOST:PORT', means: 'the host to ask', default: '127.0.0.1:9737' },
    as: { value: 'ROLE', means: 'whose certificate to show: operator or signer', default: 'operator' },
    node: { value: 'NAME', means: 'this node only', default: '' },
    json: { means: 'print JSON, for programs' },
  },
  async run(given, signal) {
    const role: Role | undefined = roles.find((known) => known === given.option('as') && known !== 'host');
    if (role === undefined) throw new UsageError(`--as: expected operator or signer, got ${given.option('as')}`);
    await using channel = new Channel(given.option('host') ?? '', await identityOf(given.option('dir') ?? '', role));
    const answer = channel.client(HostService).status({ node: given.option('node') ?? '' }, { signal });
    const { nodes } = await answer.catch(noHost(given.option('host') ?? ''));
    const json = () => nodes.map((node) => toJson(NodeStatusSchema, node, { alwaysEmitImplicit: true }));
    if (given.has('json')) console.log(JSON.stringify(json(), null, 2));
    else if (nodes.length === 0)
      console.log('this host has no node yet: start lightningd with its stand-in, or attach a signer');
    else console.log(nodes.flatMap(lines).join('\n'));
    return 0;
  },
});
