/**
 * A node's host and signer in the hands of a test: the signer can be told to lie about what it sends ahead, to refuse a
 * request by its policy, or to stop in the middle of one, and the link between the two can be cut.
 */

import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { identityOf } from '../../cli/directory.ts';
import { createCertificates } from '../../cli/init.ts';
import { openPolicy, readPolicy } from '../../cli/policy_of.ts';
import type { AnswerAhead, ClientIdentity } from '../../proto/answer.ts';
import { systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import type { TlsIdentity } from '../../proto/grpc.ts';
import type { Call, Request } from '../../proto/hsmd/calls.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import { jsonLines, type Log } from '../../proto/log.ts';
import { Host } from '../../server/host.ts';
import { Signer } from '../../signer/dispatch.ts';
import { backend } from '../../signer/node/backends.ts';
import { keepAttached } from '../../signer/node/link.ts';
import { secretFile } from '../../signer/node/secret_file.ts';
import type { Policy } from '../../signer/policy/policy.ts';
import { Refusal } from '../../signer/refusal.ts';
import { type RequestHandler, Session } from '../../signer/session.ts';
import { SlowLink } from '../bench/slow_link.ts';

export interface Hardship {
  /** Whether the policy refuses this one. */
  readonly refuses?: (request: Request, client: ClientIdentity) => boolean;
  /** Before the signer has it; what never resolves is never answered. */
  readonly before?: (call: Call, acknowledged: boolean) => void | Promise<void>;
  /** What goes ahead instead of what the signer foresees. */
  readonly ahead?: (call: Call, answers: readonly AnswerAhead[]) => readonly AnswerAhead[];
}

const secp = backend(undefined, systemEntropy);
const node = 'node';
/** Long enough that what is on its way can be cut off. */
const rttMs = 20;

interface Running {
  end(): Promise<void>;
}

export class HardSigner implements AsyncDisposable {
  readonly #root: string;
  readonly #log: Log;
  readonly #identity: TlsIdentity;
  readonly #host: Host;
  readonly #link: SlowLink;
  #running: Promise<Running> | undefined;
  hardship: Hardship = {};
  /** How often what the test wanted has come about. */
  times = 0;

  private constructor(root: string, log: Log, identity: TlsIdentity, host: Host, link: SlowLink) {
    this.#root = root;
    this.#log = log;
    this.#identity = identity;
    this.#host = host;
    this.#link = link;
  }

  /** Starts both, with a new secret and a new state. Everything is in `root`, which needs a short path. */
  static async open(root: string): Promise<HardSigner> {
    const certificates = join(root, 'certificates');
    await mkdir(root, { recursive: true });
    await createCertificates(certificates, node, [], 1);
    const file = createWriteStream(join(root, 'keyhold.log'));
    const log = jsonLines((line) => file.write(line), Date.now);
    const host = await Host.open({
      sockets: [join(root, 'keyhold.sock')],
      listen: '127.0.0.1:0',
      identity: await identityOf(certificates, 'host'),
      clock: systemClock,
      entropy: systemEntropy,
      log,
      copies: join(root, 'copies'),
      journal: join(root, 'journal'),
    });
    const link = await SlowLink.open({ to: host.port, rttMs });
    const signer = new HardSigner(root, log, await identityOf(certificates, 'signer'), host, link);
    signer.#running = signer.#start('begin');
    await signer.#running;
    return signer;
  }

  /** For lightningd, so that its stand-in finds the host. */
  get env(): Readonly<Record<string, string>> {
    return { KEYHOLD_SOCKET: join(this.#root, 'keyhold.sock'), KEYHOLD_NODE: node };
  }

  /** What the host knows that the signer has not decided. */
  get undecided(): number {
    return this.#host.node(node).relay.undecided;
  }

  /** Breaks the link, for a while (milliseconds). */
  cut(ms: number): void {
    this.#link.cut();
    systemClock.after(ms, () => this.#link.mend());
  }

  /** Ends the signer without a goodbye, whatever it is at, and starts another process's worth of it with the same state. */
  async restart(): Promise<void> {
    this.#link.cut();
    const before = this.#running;
    this.#running = (async () => {
      await (await before)?.end();
      this.#link.mend();
      return this.#start('go on');
    })();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#running)?.end();
    await this.#link[Symbol.asyncDispose]();
    await this.#host[Symbol.asyncDispose]();
  }

  async #start(state: 'begin' | 'go on'): Promise<Running> {
    const stop = new AbortController();
    const parts = { clock: systemClock, entropy: systemEntropy, log: this.#log };
    const opened = await openPolicy({
      ...parts,
      secp,
      file: await readPolicy(process.env['KEYHOLD_POLICY'], secp),
      folder: join(this.#root, 'state'),
      begin: state === 'begin',
      owner: 'local',
      link: { chainRequired: false },
    });
    const path = join(this.#root, 'hsm_secret');
    const secret = secretFile({ path, passphrase: undefined, create: state === 'begin', entropy: systemEntropy });
    const signer = this.#around(new Signer({ secp, secret, policy: this.#refusing(opened.policy) }));
    const about = { id: systemEntropy(16), name: 'hard', software: 'test', signal: stop.signal };
    const session = new Session({ ...parts, ...about, signer, companions: opened.companions });
    const address = `127.0.0.1:${this.#link.port}`;
    const attached = keepAttached({ ...parts, session, address, identity: this.#identity }, stop.signal);
    return {
      async end() {
        stop.abort();
        await attached;
        await opened[Symbol.asyncDispose]();
      },
    };
  }

  #refusing(policy: Policy): Policy {
    const refuses = (request: Request, client: ClientIdentity) => this.hardship.refuses?.(request, client) === true;
    return {
      name: policy.name,
      approvesPayments: policy.approvesPayments === true,
      start: (...said) => policy.start(...said),
      show: (request) => policy.show(request),
      channels: () => policy.channels?.(),
      decide: (context, request, sign) => {
        if (!refuses(request, context.client)) return policy.decide(context, request, sign);
        this.times += 1;
        throw new Refusal('policy-test', 'the test wants it so');
      },
    };
  }

  #around(signer: Signer): RequestHandler {
    return {
      approvesPayments: signer.approvesPayments,
      handle: async (client, bytes, signal, acknowledged) => {
        const call = callOf(bytes);
        if (call !== undefined) await this.hardship.before?.(call, acknowledged);
        return signer.handle(client, bytes, signal, acknowledged);
      },
      ahead: async (client, bytes, reply) => {
        const foreseen = await signer.ahead(client, bytes, reply);
        const call = callOf(bytes);
        return (call && this.hardship.ahead?.(call, foreseen)) ?? foreseen;
      },
      show: (request) => signer.show(request),
    };
  }
}
