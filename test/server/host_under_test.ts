// A host on loopback with certificates of its own, and signers that attach to it as the real one does.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Answer, ClientIdentity } from '../../proto/answer.ts';
import { systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import type { TlsIdentity } from '../../proto/grpc.ts';
import { type Log, silent } from '../../proto/log.ts';
import type { SignedRequest } from '../../proto/signed_request.ts';
import {
  type Credentials,
  createAuthority,
  issueHost,
  issueOperator,
  issueSigner,
  type Validity,
} from '../../server/certificates.ts';
import { Host, type HostOptions } from '../../server/host.ts';
import { keepAttached } from '../../signer/node/link.ts';
import { Session } from '../../signer/session.ts';

const lately = (): Validity => ({ from: new Date(Date.now() - 60_000), days: 1 });

export class Authority {
  readonly #credentials: Credentials;
  readonly host: TlsIdentity;

  private constructor(credentials: Credentials, host: Credentials) {
    this.#credentials = credentials;
    this.host = { ...host, ca: credentials.cert };
  }

  static async create(): Promise<Authority> {
    const credentials = await createAuthority(lately(), systemEntropy);
    return new Authority(credentials, await issueHost(credentials, [], lately(), systemEntropy));
  }

  async signer(node: string, validity = lately()): Promise<TlsIdentity> {
    return { ...(await issueSigner(this.#credentials, node, validity, systemEntropy)), ca: this.#credentials.cert };
  }

  async operator(): Promise<TlsIdentity> {
    return { ...(await issueOperator(this.#credentials, lately(), systemEntropy)), ca: this.#credentials.cert };
  }
}

export async function temporaryDirectory(t: Pick<ExecutionContext, 'teardown'>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhold-'));
  t.teardown(() => rm(directory, { recursive: true }));
  return directory;
}

/** Opens a host; what is not said is as short as a test wants it. */
export function openHost(
  authority: Authority,
  socket: string,
  more: Partial<HostOptions> & { readonly port?: number } = {},
): Promise<Host> {
  return Host.open({
    sockets: [socket],
    listen: `127.0.0.1:${more.port ?? 0}`,
    identity: authority.host,
    clock: systemClock,
    entropy: systemEntropy,
    log: silent,
    takeoverMs: 200,
    retryMs: 100,
    ...more,
  });
}

export type Handle = (client: ClientIdentity, bytes: Uint8Array) => Promise<Answer> | Answer;

export interface AttachedSigner extends AsyncDisposable {
  readonly session: Session;
  /** Every request carried out, in order. */
  readonly handled: readonly Uint8Array[];
}

export interface SignerOptions {
  readonly port: number;
  readonly identity: TlsIdentity;
  readonly handle: Handle;
  readonly name?: string;
  /** Takes what is shown. */
  readonly show?: (request: SignedRequest) => void;
  readonly log?: Log;
}

/** Attaches a signer and keeps it attached; disposing of it says goodbye. */
export function attachSigner({
  port,
  identity,
  handle,
  show,
  name = 'phone',
  log = silent,
}: SignerOptions): AttachedSigner {
  const stop = new AbortController();
  const handled: Uint8Array[] = [];
  const signer = {
    handle: async (client: ClientIdentity, bytes: Uint8Array) => {
      handled.push(bytes);
      return handle(client, bytes);
    },
    show: async (request: SignedRequest) => show?.(request),
  };
  const session = new Session({
    signer,
    id: systemEntropy(16),
    name,
    software: 'test',
    clock: systemClock,
    log,
    signal: stop.signal,
  });
  const done = keepAttached(
    {
      session,
      address: `127.0.0.1:${port}`,
      identity,
      clock: systemClock,
      entropy: systemEntropy,
      log,
      pauseMs: { first: 20, longest: 100 },
    },
    stop.signal,
  );
  return {
    session,
    handled,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

/** Waits until something holds, asking every few milliseconds. Throws after ten seconds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 10_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited ten seconds in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
