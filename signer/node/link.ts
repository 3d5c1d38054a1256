// Keeps a session attached to its host: connects with mutual TLS, serves the stream, and connects again when it breaks,
// after a pause that doubles up to a limit and is never quite the same for two signers.

import type { Clock } from '../../proto/clock.ts';
import { sleep } from '../../proto/clock.ts';
import { type Entropy, fraction } from '../../proto/entropy.ts';
import { SignerLink } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { Channel, StatusError, type TlsIdentity } from '../../proto/grpc.ts';
import type { FromSignerInit } from '../../proto/link.ts';
import { errorText, type Log } from '../../proto/log.ts';
import { Outbox } from '../../proto/outbox.ts';
import type { Session } from '../session.ts';

export interface LinkOptions {
  readonly session: Session;
  /** The host's `address:port`. */
  readonly address: string;
  readonly identity: TlsIdentity;
  /** The name in the host's certificate, where it is not that of the address. */
  readonly serverName?: string;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  /** The first pause and the longest, in milliseconds; 100 and 30,000 if not given. */
  readonly pauseMs?: { readonly first: number; readonly longest: number };
}

/** How long the host may take to end a stream after our goodbye, in milliseconds. */
const farewellMs = 1_000;

const wrongPlace =
  'this signer cannot serve this node: its secret, its state or the host is another node’s. It goes on trying; look at --secret, --state and --host';

/** Stays attached until the signal aborts. Never throws: what goes wrong is logged and tried again. */
export async function keepAttached(options: LinkOptions, signal: AbortSignal): Promise<void> {
  const { clock, entropy, log } = options;
  const { first, longest } = options.pauseMs ?? { first: 100, longest: 30_000 };
  let pause = first;
  let unfit: string | undefined;
  while (!signal.aborted) {
    const ended = await serveOnce(options, signal);
    if (signal.aborted) return;
    if (ended === 'cut') pause = first;
    const { reason } = typeof ended === 'string' ? { reason: undefined } : ended;
    // Only the owner or the operator can change that: it is said once, and tried again in case they did at the host.
    if (reason !== undefined) pause = longest;
    if (reason !== undefined && reason !== unfit) log('error', wrongPlace, { reason });
    unfit = reason;
    const ms = Math.round(pause * (0.5 + fraction(entropy) / 2));
    log('info', 'connecting again', { pause_ms: ms });
    await sleep(clock, ms, signal).catch(() => undefined);
    pause = Math.min(pause * 2, longest);
  }
}

/** Cut off in the middle; over, turned away or sent away; or of no use to this host, which said why. */
type Ended = 'cut' | 'over' | { readonly reason: string };

/** Serves one stream to its end. */
async function serveOnce(options: LinkOptions, signal: AbortSignal): Promise<Ended> {
  const { session, address, identity, serverName, clock, log } = options;
  let ended: Ended = 'over';
  await using channel = new Channel(address, identity, serverName);
  const gone = new AbortController();
  const outbox = new Outbox<FromSignerInit>();
  let cancelCut = () => {};
  const leave = () => {
    outbox.push({ message: { case: 'goodbye', value: { reason: 'the signer is stopping' } } });
    outbox.close();
    cancelCut = clock.after(farewellMs, () => gone.abort());
  };
  signal.addEventListener('abort', leave);
  try {
    const received = channel.client(SignerLink).attach(outbox, { signal: gone.signal });
    const goodbye = await session.run(
      {
        received,
        send: (message) => outbox.push(message),
        abandon: (reason) => gone.abort(new StatusError('DEADLINE_EXCEEDED', reason)),
      },
      () => {
        ended = 'cut';
      },
    );
    if (goodbye !== undefined) ended = goodbye.unfit ? goodbye : 'over';
    if (!signal.aborted && goodbye?.unfit !== true)
      log('warn', 'the host ended the link', { reason: goodbye?.reason ?? 'none given' });
  } catch (error: unknown) {
    const code = error instanceof StatusError ? error.code : undefined;
    if (!signal.aborted) log('warn', 'the link to the host broke', { address, error: errorText(error), code });
  } finally {
    signal.removeEventListener('abort', leave);
    cancelCut();
    outbox.close();
  }
  return ended;
}
