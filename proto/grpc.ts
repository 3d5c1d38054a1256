// The one place that knows grpc-js: services and clients typed from protobuf-es descriptors, async iterables for
// streams, AbortSignal for cancellation, one table from errors to status codes. Nothing else imports grpc-js.
//
// Three traps are kept in here. A duplex's own iterator destroys the call when the other side ends its half, so it is
// taken with `destroyOnReturn: false`. `write` that returns false has to be waited for, or a slow reader fills our
// memory. And channels share subchannels with their backoff, so that a fresh channel would still wait for an old one.

import { once } from 'node:events';
import { isIP } from 'node:net';
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { WireError } from './hsmd/codec.ts';
import type { Log } from './log.ts';

/** The largest message either side takes, in bytes. */
export const largestMessage = 32 * 1024 * 1024;

/** A gRPC status other than OK, thrown by a service's implementation or received by a client. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly code: StatusCode;

  constructor(code: StatusCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** gRPC's status codes by name ("NOT_FOUND"). */
export type StatusCode = keyof typeof grpc.status;

/** The caller of a method. */
export interface Caller {
  /** The common name of its certificate; undefined where the transport has none (a unix socket). */
  readonly commonName: string | undefined;
  /** Where it comes from, for the log. */
  readonly address: string;
  /** Aborts when the caller is gone or the server stops. */
  readonly signal: AbortSignal;
}

type Handler<M> = M extends {
  methodKind: infer K;
  input: infer I extends DescMessage;
  output: infer O extends DescMessage;
}
  ? K extends 'unary'
    ? (request: MessageShape<I>, caller: Caller) => Promise<MessageInitShape<O>>
    : K extends 'server_streaming'
      ? (request: MessageShape<I>, caller: Caller) => AsyncIterable<MessageInitShape<O>>
      : K extends 'bidi_streaming'
        ? (requests: AsyncIterable<MessageShape<I>>, caller: Caller) => AsyncIterable<MessageInitShape<O>>
        : never
  : never;

/** A generated service descriptor. */
export interface Service {
  readonly typeName: string;
  readonly method: { readonly [name: string]: DescMethod };
}

/** What implements a service: a function for each of its methods. */
export type Implementation<S extends Service> = { readonly [M in keyof S['method']]: Handler<S['method'][M]> };

type ClientMethod<M> = M extends {
  methodKind: infer K;
  input: infer I extends DescMessage;
  output: infer O extends DescMessage;
}
  ? K extends 'unary'
    ? (request: MessageInitShape<I>, options: CallOptions) => Promise<MessageShape<O>>
    : K extends 'server_streaming'
      ? (request: MessageInitShape<I>, options: CallOptions) => AsyncIterable<MessageShape<O>>
      : K extends 'bidi_streaming'
        ? (requests: AsyncIterable<MessageInitShape<I>>, options: CallOptions) => AsyncIterable<MessageShape<O>>
        : never
  : never;

export type Client<S extends Service> = { readonly [M in keyof S['method']]: ClientMethod<S['method'][M]> };

export interface CallOptions {
  readonly signal: AbortSignal;
}

/** PEM texts of one end of a mutually authenticated connection. */
export interface TlsIdentity {
  /** The authorities whose certificates are accepted. */
  readonly ca: string;
  /** The own certificate, with its intermediates. */
  readonly cert: string;
  /** The own private key, PKCS 8. */
  readonly key: string;
}

const sizes = {
  'grpc.max_receive_message_length': largestMessage,
  'grpc.max_send_message_length': largestMessage,
} as const;

const view = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function serializers(method: DescMethod): grpc.MethodDefinition<unknown, unknown> {
  const write = (schema: DescMessage) => (value: unknown) =>
    // The typed surface above admits nothing else.
    view(toBinary(schema, create(schema, value as MessageInitShape<DescMessage>)));
  // Byte fields are views of what is decoded: of plain arrays, for code that knows no Buffer.
  const read = (schema: DescMessage) => (bytes: Buffer) =>
    fromBinary(schema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: write(method.input),
    requestDeserialize: read(method.input),
    responseSerialize: write(method.output),
    responseDeserialize: read(method.output),
  };
}

/** What a failure is called on the wire. What is not foreseen keeps its text to the log. */
function toStatus(error: unknown, log: Log, method: string): { code: grpc.status; details: string } {
  if (error instanceof StatusError) return { code: grpc.status[error.code], details: error.message };
  if (error instanceof WireError) return { code: grpc.status.INVALID_ARGUMENT, details: error.message };
  if (error instanceof Error && error.name === 'AbortError')
    return { code: grpc.status.CANCELLED, details: 'cancelled' };
  log('error', 'a gRPC method failed', { method, error: error instanceof Error ? error.message : String(error) });
  return { code: grpc.status.INTERNAL, details: 'internal error' };
}

function fromStatus(error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error && 'details' in error)) return error;
  const code = grpc.status[Number(error.code)] ?? 'UNKNOWN';
  // Every value of grpc.status is also a key of it.
  return new StatusError(code as StatusCode, String(error.details), { cause: error });
}

/** What every kind of server call has. */
interface ServerCall {
  on(event: 'cancelled', listener: () => void): unknown;
  getAuthContext(): ReturnType<grpc.ServerUnaryCall<unknown, unknown>['getAuthContext']>;
  getPeer(): string;
}

function callerOf(call: ServerCall): Caller {
  const gone = new AbortController();
  call.on('cancelled', () => gone.abort());
  const commonName: unknown = call.getAuthContext().sslPeerCertificate?.subject?.CN;
  return {
    // A subject with several common names is nobody's.
    commonName: typeof commonName === 'string' ? commonName : undefined,
    address: call.getPeer(),
    signal: gone.signal,
  };
}

/** Writes every response, waiting where the stream is full; ends quietly once the caller is gone. */
async function respond(
  call: grpc.ServerWritableStream<unknown, unknown> | grpc.ServerDuplexStream<unknown, unknown>,
  responses: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> {
  for await (const response of responses) {
    if (signal.aborted) return;
    if (!call.write(response)) await once(call, 'drain', { signal });
  }
  call.end();
}

type StreamCall = grpc.ServerWritableStream<unknown, unknown> | grpc.ServerDuplexStream<unknown, unknown>;

function streaming(run: (call: never, caller: Caller) => AsyncIterable<unknown>, log: Log, path: string) {
  return (call: StreamCall) => {
    const caller = callerOf(call);
    // `run` is the handler of exactly this kind of call.
    const responses = run(call as never, caller);
    respond(call, responses, caller.signal).catch((error: unknown) => {
      if (!caller.signal.aborted) call.emit('error', toStatus(error, log, path));
    });
  };
}

function serverHandler(method: DescMethod, handler: unknown, log: Log, path: string): grpc.UntypedHandleCall {
  switch (method.methodKind) {
    case 'unary': {
      const handle = handler as (request: unknown, caller: Caller) => Promise<unknown>;
      return (call: grpc.ServerUnaryCall<unknown, unknown>, callback: grpc.sendUnaryData<unknown>) => {
        handle(call.request, callerOf(call)).then(
          (response) => callback(null, response),
          (error: unknown) => callback(toStatus(error, log, path)),
        );
      };
    }
    case 'server_streaming': {
      const handle = handler as (request: unknown, caller: Caller) => AsyncIterable<unknown>;
      return streaming(
        (call: grpc.ServerWritableStream<unknown, unknown>, caller) => handle(call.request, caller),
        log,
        path,
      );
    }
    case 'bidi_streaming': {
      const handle = handler as (requests: AsyncIterable<unknown>, caller: Caller) => AsyncIterable<unknown>;
      return streaming(
        (call: grpc.ServerDuplexStream<unknown, unknown>, caller) => handle(received(call, caller.signal), caller),
        log,
        path,
      );
    }
    case 'client_streaming':
      throw new TypeError(`${path}: client streaming is not used here`);
  }
}

/** What the other side sends, until it ends its half or is gone; being gone is an end, not a failure. */
async function* received(
  call: grpc.ServerDuplexStream<unknown, unknown>,
  signal: AbortSignal,
): AsyncGenerator<unknown, void> {
  try {
    yield* call.iterator({ destroyOnReturn: false });
  } catch (error: unknown) {
    if (!signal.aborted && !call.destroyed) throw error;
  }
}

/** A gRPC server: services are added, then it listens. Disposing of it cuts every call. */
export class GrpcServer {
  readonly #server = new grpc.Server(sizes);
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  addService<S extends Service>(service: S, implementation: Implementation<S>): void {
    const methods = Object.entries(service.method);
    const definition = Object.fromEntries(methods.map(([name, method]) => [name, serializers(method)]));
    const handlers = Object.fromEntries(
      methods.map(([name, method]) => [
        name,
        serverHandler(method, implementation[name], this.#log, `${service.typeName}/${method.name}`),
      ]),
    );
    this.#server.addService(definition, handlers);
  }

  /**
   * Listens on `host:port` (port 0: any) and accepts only clients with a certificate of `identity.ca`; without an
   * identity on a `unix:PATH` that the file system guards. Returns the port. Fails where the address is taken.
   */
  listen(address: string, identity: TlsIdentity | undefined): Promise<number> {
    if (identity === undefined && !address.startsWith('unix:'))
      throw new TypeError(`expected a TLS identity for ${address}: only a unix socket may go without`);
    const credentials =
      identity === undefined
        ? grpc.ServerCredentials.createInsecure()
        : grpc.ServerCredentials.createSsl(
            Buffer.from(identity.ca),
            [{ private_key: Buffer.from(identity.key), cert_chain: Buffer.from(identity.cert) }],
            true,
          );
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, port) => (error === null ? resolve(port) : reject(error)));
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    return Promise.resolve();
  }
}

/** A connection to a server, made when first used. */
export class Channel {
  readonly #client: grpc.Client;

  /**
   * `address` is `host:port` or `unix:PATH`; `serverName` is the name that the server's certificate must carry, if not the
   * host's. TLS has no name to ask for where the host is an IP address: then it is "localhost", which every host's carries.
   */
  constructor(address: string, identity: TlsIdentity | undefined, serverName?: string) {
    const credentials =
      identity === undefined
        ? grpc.credentials.createInsecure()
        : grpc.credentials.createSsl(Buffer.from(identity.ca), Buffer.from(identity.key), Buffer.from(identity.cert));
    const host = address.slice(0, address.lastIndexOf(':')).replaceAll(/[[\]]/g, '');
    const expected = serverName ?? (isIP(host) === 0 ? undefined : 'localhost');
    this.#client = new grpc.Client(address, credentials, {
      ...sizes,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      ...(expected !== undefined && { 'grpc.ssl_target_name_override': expected, 'grpc.default_authority': expected }),
    });
  }

  /** The methods of a service on this connection; they throw `StatusError`. */
  client<S extends Service>(service: S): Client<S> {
    const methods = Object.entries(service.method);
    // One function a method, of the shape that `ClientMethod` says for its kind.
    return Object.fromEntries(methods.map(([name, method]) => [name, clientMethod(this.#client, method)])) as Client<S>;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }
}

function clientMethod(client: grpc.Client, method: DescMethod): unknown {
  const { path, requestSerialize, responseDeserialize } = serializers(method);
  switch (method.methodKind) {
    case 'unary':
      return (request: unknown, { signal }: CallOptions) =>
        new Promise((resolve, reject) => {
          signal.throwIfAborted();
          const call = client.makeUnaryRequest(
            path,
            requestSerialize,
            responseDeserialize,
            request,
            (error, response) => {
              signal.removeEventListener('abort', cancel);
              if (error === null) resolve(response);
              else reject(fromStatus(error));
            },
          );
          const cancel = () => call.cancel();
          signal.addEventListener('abort', cancel);
        });
    case 'server_streaming':
      return (request: unknown, { signal }: CallOptions) =>
        responses(client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request), signal);
    case 'bidi_streaming':
      return (requests: AsyncIterable<unknown>, { signal }: CallOptions) => {
        const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
        send(call, requests).catch(() => call.cancel());
        return responses(call, signal);
      };
    case 'client_streaming':
      throw new TypeError(`${path}: client streaming is not used here`);
  }
}

async function send(call: grpc.ClientDuplexStream<unknown, unknown>, requests: AsyncIterable<unknown>): Promise<void> {
  for await (const request of requests) {
    if (call.destroyed) return;
    if (!call.write(request)) await once(call, 'drain');
  }
  call.end();
}

async function* responses(
  call: grpc.ClientDuplexStream<unknown, unknown> | grpc.ClientReadableStream<unknown>,
  signal: AbortSignal,
): AsyncGenerator<unknown, void> {
  const cancel = () => call.cancel();
  // Where nobody reads any more the end of the call is of no interest, but an error without a listener is fatal.
  call.on('error', () => {});
  signal.addEventListener('abort', cancel);
  try {
    if (signal.aborted) cancel();
    yield* call.iterator({ destroyOnReturn: false });
  } catch (error: unknown) {
    throw fromStatus(error);
  } finally {
    signal.removeEventListener('abort', cancel);
    call.cancel();
  }
}
