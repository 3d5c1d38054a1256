/** A host that keeps copies, and a signer with policy and state on a real link to it, both in this process; recordings are what its node asks. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { identityOf } from '../../cli/directory.ts';
import { createCertificates } from '../../cli/init.ts';
import { openPolicy } from '../../cli/policy_of.ts';
import { loadRecordings, type RecordedRequest, type RecordedSession } from '../../cli/recordings.ts';
import type { Answer } from '../../proto/answer.ts';
import { equalBytes, toHex } from '../../proto/bytes.ts';
import { type Clock, systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import { type Log, silent } from '../../proto/log.ts';
import { Host, type HostOptions } from '../../server/host.ts';
import type { Lane } from '../../server/lane.ts';
import { Signer } from '../../signer/dispatch.ts';
import { backend } from '../../signer/node/backends.ts';
import { keepAttached } from '../../signer/node/link.ts';
import { secretFile } from '../../signer/node/secret_file.ts';
import { emptyFile } from '../../signer/policy/policy_file.ts';
import { Session } from '../../signer/session.ts';
import { temporaryDirectory } from '../server/host_under_test.ts';

/** Before any recorded invoice expired. */
const recorded: Clock = { ...systemClock, now: () => 1_600_000_000_000 };

export interface Place {
  /** Certificates, the hsm_secret, and the signer's state in `state`. */
  readonly directory: string;
  readonly session: RecordedSession;
}

/** A folder for host and signer of a recorded node. */
export async function placeFor(t: ExecutionContext, node: string): Promise<Place> {
  const directory = await temporaryDirectory(t);
  await createCertificates(directory, 'alice', [], 1);
  const [session] = await loadRecordings([`test/vectors/hsmd/traces/${node}.jsonl.gz`]);
  if (session === undefined) throw new Error(`no recording of ${node}`);
  await writeFile(join(directory, 'hsm_secret'), session.secretFile);
  return { directory, session };
}

export async function openHostAt({ directory }: Place, more: Partial<HostOptions> = {}): Promise<Host> {
  return Host.open({
    sockets: [],
    listen: '127.0.0.1:0',
    identity: await identityOf(directory, 'host'),
    clock: systemClock,
    entropy: systemEntropy,
    log: silent,
    copies: join(directory, 'copies'),
    takeoverMs: 200,
    retryMs: 50,
    ...more,
  });
}

export interface LinkedSigner extends AsyncDisposable {
  readonly signer: Signer;
}

export interface LinkedSignerOptions {
  readonly begin?: boolean;
  readonly log?: Log;
  readonly clock?: Clock;
}

/** Attaches a signer as `keyhold signer` does, whose owner says yes to everything. */
export async function attachTo(
  port: number,
  { directory }: Place,
  { begin = false, log = silent, clock = recorded }: LinkedSignerOptions = {},
): Promise<LinkedSigner> {
  const entropy = systemEntropy;
  const secp = backend(undefined, entropy);
  const stop = new AbortController();
  const opened = await openPolicy({
    file: emptyFile,
    folder: join(directory, 'state'),
    begin,
    owner: 'local',
    link: { chainRequired: false },
    clock,
    entropy,
    log,
    secp,
  });
  const secret = secretFile({ path: join(directory, 'hsm_secret'), passphrase: undefined, create: false, entropy });
  const signer = new Signer({ secp, secret, policy: opened.policy });
  const about = { id: entropy(16), name: 'phone', software: 'test', clock: systemClock, log, signal: stop.signal };
  const session = new Session({ ...about, signer, companions: opened.companions });
  const identity = await identityOf(directory, 'signer');
  const link = { session, address: `127.0.0.1:${port}`, identity, clock: systemClock, entropy, log };
  const done = keepAttached({ ...link, pauseMs: { first: 20, longest: 50 } }, stop.signal);
  return {
    signer,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
      await opened[Symbol.asyncDispose]();
    },
  };
}

/** What the recorded node's lightningd asks, through the host's relay. */
export class RecordedNode {
  readonly #host: Host;
  readonly #lanes = new Map<string, Lane>();

  constructor(host: Host) {
    this.#host = host;
  }

  ask({ client, bytes }: Pick<RecordedRequest, 'client' | 'bytes'>, signal: AbortSignal): Promise<Answer> {
    const { relay } = this.#host.node('alice');
    const key = `${toHex(client.nodeId)}/${client.dbid}/${client.capabilities}`;
    const lane = this.#lanes.get(key) ?? relay.openLane(client);
    this.#lanes.set(key, lane);
    return relay.ask(lane, bytes, signal);
  }

  /** Asks these one after the other; throws where an answer is not the recorded one. */
  async play(requests: readonly RecordedRequest[]): Promise<void> {
    for (const request of requests) {
      const call = callOf(request.bytes);
      if (call === 'clientHsmfd' || call === 'devPreinit') continue;
      const answer = await this.ask(request, AbortSignal.timeout(20_000));
      const { expected } = request;
      if (answer.kind !== 'reply' || !(expected instanceof Uint8Array) || !equalBytes(answer.bytes, expected))
        throw new Error(`${call}: expected the recorded reply, got ${JSON.stringify({ ...answer, bytes: undefined })}`);
    }
  }
}
