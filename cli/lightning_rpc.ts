/** lightningd's JSON-RPC: one request, one answer, on its unix socket. */

import { connect, type Socket } from 'node:net';

/** lightningd ends each answer with an empty line (json_stream_close). */
const end = '\n\n';

/** How long an answer may take, in milliseconds. */
const patienceMs = 60_000;

export interface RpcRequest {
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

async function answerOn(socket: Socket): Promise<string> {
  let received = '';
  socket.setEncoding('utf8');
  for await (const chunk of socket) {
    received += String(chunk);
    if (received.endsWith(end)) return received;
  }
  throw new Error('closed the connection instead of answering');
}

/** Resolves to the result; rejects with lightningd's own words, or with the signal's reason. */
export async function callRpc(path: string, { method, params }: RpcRequest, signal: AbortSignal): Promise<unknown> {
  signal.throwIfAborted();
  const socket = connect(path);
  const leave = () => socket.destroy();
  socket.setTimeout(patienceMs, () => socket.destroy(new Error(`gave no answer within ${patienceMs / 1000} s`)));
  signal.addEventListener('abort', leave);
  try {
    socket.write(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
    const answer: unknown = JSON.parse(await answerOn(socket));
    if (typeof answer !== 'object' || answer === null) throw new Error('answered with no object');
    if ('result' in answer) return answer.result;
    throw new Error('error' in answer ? problemOf(answer.error) : 'answered with neither result nor error');
  } catch (error: unknown) {
    signal.throwIfAborted();
    throw new Error(`lightningd, ${method}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  } finally {
    signal.removeEventListener('abort', leave);
    socket.destroy();
  }
}

function problemOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error) return String(error.message);
  return JSON.stringify(error);
}
