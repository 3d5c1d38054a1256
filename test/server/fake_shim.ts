import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeFrame, encodeHello, type Frame, FrameDecoder, type Hello, type Kind } from '../../server/shim/frames.ts';

type Greeting = Partial<Pick<Hello, 'developer' | 'clients' | 'kept'>>;

/** Stands where the shim stands, on the host's unix socket. */
export class FakeShim {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder('host');
  readonly #frames: Frame[] = [];
  #arrived: () => void = () => {};
  /** What the host told it to keep last. */
  kept: Uint8Array = new Uint8Array();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      for (const frame of this.#decoder.push(chunk)) this.#take({ ...frame, payload: Uint8Array.from(frame.payload) });
      this.#arrived();
    });
    socket.on('close', () => this.#arrived());
  }

  /** Connects and says what it is. */
  static async open(path: string, node: string, greeting: Greeting = {}): Promise<FakeShim> {
    const socket = connect(path);
    await once(socket, 'connect');
    const shim = new FakeShim(socket);
    const hello = { developer: false, lightningd: 'v26.06.6', clients: [], kept: new Uint8Array(), ...greeting, node };
    socket.write(encodeFrame('hello', 0, encodeHello(hello)));
    return shim;
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  request(conn: number, message: Uint8Array): void {
    this.#socket.write(encodeFrame('request', conn, message));
  }

  closedBy(conn: number): void {
    this.#socket.write(encodeFrame('closed', conn));
  }

  /** The next frame from the host that is not for keeping. Throws when the connection ends first. */
  async next(): Promise<Frame> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      if (this.#socket.destroyed) throw new Error('the host ended the connection');
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }

  /** The next frame of one kind; others before it are passed over. */
  async nextOf(kind: Kind): Promise<Frame> {
    for (;;) {
      const frame = await this.next();
      if (frame.kind === kind) return frame;
    }
  }

  /** Asks on a conn and waits for the reply to it. */
  async ask(conn: number, message: Uint8Array): Promise<Uint8Array> {
    this.request(conn, message);
    return (await this.nextOf('reply')).payload;
  }

  /** Has a new client made; its conn. */
  async newClient(clientHsmfd: Uint8Array): Promise<number> {
    this.request(0, clientHsmfd);
    const { payload } = await this.nextOf('replyFd');
    return new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  }

  /** Frames that have arrived and nobody has taken. */
  get waiting(): readonly Frame[] {
    return this.#frames;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.closed) return;
    this.#socket.destroy();
    await once(this.#socket, 'close');
  }

  #take(frame: Frame): void {
    if (frame.kind === 'keep') this.kept = frame.payload;
    else this.#frames.push(frame);
  }
}
