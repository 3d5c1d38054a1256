/**
 * The host: shims connect to it on unix sockets, signers and operators over gRPC. It knows which node each belongs to,
 * and has a relay for each of them.
 */

import { once, setMaxListeners } from 'node:events';
import type { Server, Socket } from 'node:net';
import type { ClientIdentity } from '../proto/answer.ts';
import type { Clock } from '../proto/clock.ts';
import type { Entropy } from '../proto/entropy.ts';
import { Hsm, Node } from '../proto/gen/greenlight/greenlight_pb.ts';
import { Host as HostService } from '../proto/gen/keyhold/v1/host_pb.ts';
import { SignerLink } from '../proto/gen/keyhold/v1/signer_link_pb.ts';
import { GrpcServer, StatusError, type TlsIdentity } from '../proto/grpc.ts';
import type { Call } from '../proto/hsmd/calls.ts';
import { errorText, type Log, withFields } from '../proto/log.ts';
import { isNodeName } from './certificate_name.ts';
import type { ChainSource } from './chain_source.ts';
import { greenlightHsm, greenlightNode } from './greenlight.ts';
import { hostStatus } from './host_status.ts';
import { HostedNode } from './hosted_node.ts';
import { Journal } from './journal.ts';
import { NodeFiles } from './node_files.ts';
import { patienceFor } from './refusal.ts';
import { Relay, relayDefaults } from './relay.ts';
import { ShimConnection } from './shim/connection.ts';
import { listenForShims } from './shim_socket.ts';
import { showRequest } from './show_request.ts';
import { signerLink } from './signer_link.ts';
import type { Broadcast } from './splice_broadcast.ts';
import type { StateCopy } from './state_copy.ts';
import { type BeginTrace, Trace } from './trace.ts';
import { traceRequests } from './trace_requests.ts';

export interface HostOptions {
  /** Where shims connect. Which node one is for, it says itself. */
  readonly sockets: readonly string[];
  /** Where signers connect: `host:port`, port 0 for any. */
  readonly listen: string;
  readonly identity: TlsIdentity;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  /** The folder for what is kept of nodes' states; undefined: none is. */
  readonly copies?: string;
  /** The folder of the journal; undefined: there is none, and what needs it waits for the signer. */
  readonly journal?: string;
  /** See `RelayOptions`. */
  readonly unsignedPenalties?: boolean;
  /** See `RelayOptions`. */
  readonly alwaysAsk?: boolean;
  /** Where news of the chain for signers comes from; undefined: they get none. */
  readonly chain?: ChainSource;
  /** See `RelayOptions`. */
  readonly broadcast?: Broadcast;
  /** The only nodes to serve; undefined: whichever come. */
  readonly nodes?: readonly string[];
  /** How often signers get a heartbeat, in milliseconds; 15,000 if not given. */
  readonly heartbeatMs?: number;
  /** See `RelayOptions`; the table of refusals and three seconds if not given. */
  readonly patienceFor?: (call: Call, client: ClientIdentity) => number | undefined;
  readonly takeoverMs?: number;
  readonly retryMs?: number;
  readonly remindMs?: number;
}

export class Host {
  /** 16 bytes, new for each host that starts. */
  readonly boot: Uint8Array;
  readonly #options: HostOptions;
  readonly #nodes = new Map<string, HostedNode>();
  readonly #grpc: GrpcServer;
  readonly #sockets: Server[] = [];
  readonly #serving = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #files: NodeFiles | undefined;
  readonly #trace: Trace;
  #journal: Journal | undefined;
  #port = 0;

  private constructor(options: HostOptions) {
    const { entropy, clock, log, copies, chain } = options;
    this.#options = options;
    const files = copies === undefined ? undefined : new NodeFiles({ folder: copies, clock, log });
    this.#files = files;
    this.#trace = new Trace(clock);
    this.boot = entropy(16);
    setMaxListeners(0, this.#stopping.signal); // each shim's connection listens
    const relayOf = (name: string) => this.node(name).relay;
    this.#grpc = new GrpcServer(log);
    const heartbeatMs = options.heartbeatMs ?? 15_000;
    const link = { relayOf, boot: this.boot, heartbeatMs, clock, log, files, chain };
    this.#grpc.addService(SignerLink, signerLink(link));
    const status = hostStatus(this.#nodes, this.boot, clock, files);
    this.#grpc.addService(HostService, {
      ...status,
      ...showRequest(this.#nodes),
      ...traceRequests(this.#nodes, this.#trace),
    });
    this.#grpc.addService(Node, greenlightNode({ relayOf, entropy, files, clock, log }));
    this.#grpc.addService(Hsm, greenlightHsm({ relayOf, entropy, files, clock, log }));
  }

  /** Starts listening. Throws where an address or a path is taken, or the journal cannot be read. */
  static async open(options: HostOptions): Promise<Host> {
    const host = new Host(options);
    const { clock, log, journal } = options;
    try {
      if (journal !== undefined) host.#journal = await Journal.open({ folder: journal, clock, log });
      host.#port = await host.#grpc.listen(options.listen, options.identity);
      for (const path of options.sockets) {
        host.#sockets.push(await listenForShims(path, (socket) => host.#accept(socket)));
        options.log('info', 'waiting for shims', { path });
      }
      options.log('info', 'waiting for signers', { address: options.listen, port: host.#port });
      return host;
    } catch (error: unknown) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The port that signers connect to. */
  get port(): number {
    return this.#port;
  }

  /** The copy of a node's state that is kept here; undefined where this host keeps none. */
  async copyOf(name: string): Promise<StateCopy | undefined> {
    return this.#files?.copyOf(name);
  }

  /** A node by its name, made where there is none yet. Throws `StatusError` for one that this host does not serve. */
  node(name: string): HostedNode {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    if (!isNodeName(name) || this.#options.nodes?.includes(name) === false)
      throw new StatusError('NOT_FOUND', `this host does not serve a node "${name}"`);
    const log = withFields(this.#options.log, { node: name });
    const journal = this.#journal?.of(name);
    const begin: BeginTrace = (lane, bytes) => this.#trace.begin(name, lane, bytes);
    const relay = new Relay({ patienceFor, ...relayDefaults, ...this.#options, journal, log, trace: begin });
    const node = new HostedNode({ name, relay, entropy: this.#options.entropy, log });
    this.#nodes.set(name, node);
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    for (const { relay } of this.#nodes.values()) relay[Symbol.dispose]();
    await this.#grpc[Symbol.asyncDispose]();
    for (const server of this.#sockets.splice(0)) {
      server.close();
      await once(server, 'close');
    }
    await Promise.all(this.#serving);
    await this.#files?.[Symbol.asyncDispose]();
    await this.#journal?.[Symbol.asyncDispose]();
  }

  #accept(socket: Socket): void {
    const served = this.#serve(socket).catch((error: unknown) => {
      socket.destroy();
      this.#options.log('error', 'a shim was turned away', { problem: errorText(error) });
    });
    this.#serving.add(served);
    void served.then(() => this.#serving.delete(served));
  }

  async #serve(socket: Socket): Promise<void> {
    const shim = await ShimConnection.open(socket, this.#stopping.signal);
    if (shim !== undefined) await this.node(shim.hello.node).serve(shim);
  }
}
