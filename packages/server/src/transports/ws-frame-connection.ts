import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { WritableConnection } from './ws-writer.ts';

/**
 * `ws` sends what is not compressed at once and as it is: frames that are written past it keep their order with its own. A
 * class, since an object with getters of its own is a dictionary to V8: slower, and larger by half a KiB a connection.
 */
export class FrameConnection implements WritableConnection {
  readonly #socket: WebSocket;
  readonly #stream: Duplex;

  constructor(socket: WebSocket, stream: Duplex) {
    this.#socket = socket;
    this.#stream = stream;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  get pending(): number {
    return this.#stream.writableLength;
  }

  ping(sign: number): void {
    this.#socket.ping(String(sign));
  }

  write(bytes: Buffer, taken?: (error?: Error | null) => void): void {
    this.#stream.write(bytes, taken);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}
