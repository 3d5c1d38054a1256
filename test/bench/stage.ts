/**
 * A node's whole way on this machine: host and signer as processes of their own with mutual TLS on loopback, the
 * stand-in, and this process in lightningd's place. Requests are those recorded of one real node.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Bridge, bin, openBridge } from '../../cli/bridge_processes.ts';
import { HsmdProcess } from '../../cli/hsmd_process.ts';
import { loadRecordings, type RecordedSession } from '../../cli/recordings.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { messageType } from '../../proto/hsmd/message.ts';

const trace = fileURLToPath(new URL('../../../test/vectors/hsmd/traces/everyday/l2.jsonl.gz', import.meta.url));

export interface Stage {
  readonly bridge: Bridge;
  readonly session: RecordedSession;
  readonly signerPid: number | undefined;
  readonly hostPid: number | undefined;
  /** Another stand-in of the same node; the last one must have ended. */
  shim(): HsmdProcess;
}

/** Sets everything up, runs `play`, and takes it down again. */
export async function onStage<T>(play: (stage: Stage) => Promise<T>): Promise<T> {
  const root = await mkdtemp(join(tmpdir(), 'keyhold-bench-'));
  try {
    const [session] = await loadRecordings([trace]);
    if (session === undefined) throw new Error(`${trace} is empty`);
    await using bridge = await openBridge(root);
    const directory = await mkdtemp(join(root, 'node-'));
    await writeFile(join(directory, 'hsm_secret'), session.secretFile, { mode: 0o400 });
    const signer = await bridge.attachSigner(directory, 'node');
    const options = { program: bin('keyhold-hsmd'), directory, clients: 20, env: { KEYHOLD_SOCKET: bridge.socket } };
    return await play({
      bridge,
      session,
      signerPid: signer.pid,
      hostPid: bridge.host.pid,
      shim: () => new HsmdProcess(options),
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Makes the node start: `init` as recorded. */
export async function initialise(shim: HsmdProcess, { requests }: RecordedSession): Promise<void> {
  const init = requests.find(({ bytes }) => messageType(bytes) === calls.init.request.number);
  if (init === undefined || (await shim.ask(0, init.bytes)) === undefined) throw new Error('init was refused');
}
