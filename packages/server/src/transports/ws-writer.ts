import type { Clock } from '../platform/clock.ts';
import type { Outbound } from '../trpc/pacing.ts';

/** The part of a WebSocket that is written to. */
export interface WritableSocket {
  send(data: Buffer, options: { binary: boolean; fin: boolean }, done: (error?: Error) => void): void;
  terminate(): void;
}

export interface WriterOptions {
  readonly clock: Clock;
  /** A reader that has taken nothing for so long is cut. */
  readonly stallMs: number;
  /** Told before the socket is cut for not reading. */
  readonly onCut: () => void;
}

/** Messages are cut to pieces of this size, so that a slow reader's progress shows before a long one is through. */
const pieceBytes = 64 * 1024;
/** Handed to the socket at once: enough that a fast reader never waits. */
const windowBytes = 2 * pieceBytes;
/** Above this, results and events wait for the reader. */
const pacedBytes = 256 * 1024;
/** Above this, whatever else there is to say to a client that does not read ends the connection. */
const maxBytes = 1024 * 1024;

const lastPiece = { binary: false, fin: true };
const furtherPiece = { binary: false, fin: false };

interface Piece {
  readonly data: Buffer;
  readonly fin: boolean;
  readonly oversize: boolean;
}

/**
 * Writes to one socket: paces those who ask before they send, and cuts a reader that takes nothing. What it holds is at
 * most `maxBytes` and one message.
 */
export class WsWriter implements Outbound {
  readonly #socket: WritableSocket;
  readonly #options: WriterOptions;
  #pieces: Piece[] = [];
  readonly #inFlight: Piece[] = [];
  readonly #onTaken = () => this.#taken();
  #queuedBytes = 0;
  #inFlightBytes = 0;
  /** What is left of a message that is by itself more than a paced reader may owe: it was let through, so it counts for no cut. */
  #oversizeBytes = 0;
  #lastProgress = 0;
  #stopWatching: (() => void) | null = null;
  #waiting: (() => void)[] = [];
  /** The permission that is out, by number; null when its message has come or it was not used. */
  #granted: number | null = null;
  #grants = 0;
  #onEmpty: (() => void) | null = null;
  #closed = false;

  constructor(socket: WritableSocket, options: WriterOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** Bytes that the reader has not taken yet, as far as this process holds them. */
  get buffered(): number {
    return this.#queuedBytes + this.#inFlightBytes;
  }

  send(text: string): void {
    this.write(Buffer.from(text));
  }

  /** Sends a message, which must not be changed any more. */
  write(message: Buffer): void {
    if (this.#closed) return;
    if (this.buffered - this.#oversizeBytes > maxBytes) return this.#cut();
    const oversize = message.length > pacedBytes;
    if (oversize) this.#oversizeBytes += message.length;
    if (message.length <= pieceBytes) this.#pieces.push({ data: message, fin: true, oversize });
    for (let start = 0; message.length > pieceBytes && start < message.length; start += pieceBytes) {
      const data = message.subarray(start, start + pieceBytes);
      this.#pieces.push({ data, fin: start + pieceBytes >= message.length, oversize });
    }
    this.#queuedBytes += message.length;
    this.#granted = null;
    this.#flush();
    this.#admit();
  }

  ready(signal?: AbortSignal): Promise<void> | undefined {
    if (this.#closed || signal?.aborted === true) return undefined;
    if (this.hasRoom) {
      this.#grant();
      return undefined;
    }
    return new Promise((resolve) => {
      const admitted = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        this.#waiting = this.#waiting.filter((waiter) => waiter !== admitted);
        resolve();
      };
      this.#waiting.push(admitted);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Calls back once everything has been handed to the operating system, or at once when nothing is left. */
  whenEmpty(callback: () => void): void {
    if (this.buffered === 0) callback();
    else this.#onEmpty = callback;
  }

  /** Forgets what is queued and lets go of all who wait. */
  close(): void {
    this.#closed = true;
    this.#pieces = [];
    this.#queuedBytes = 0;
    this.#stopWatching?.();
    this.#stopWatching = null;
    for (const admitted of this.#waiting.splice(0)) admitted();
  }

  sever(): void {
    this.close();
    this.#socket.terminate();
  }

  /** Whether one more message may be sent at once: nobody waits before it, and the reader keeps up. */
  get hasRoom(): boolean {
    return this.#waiting.length === 0 && !this.#closed && this.#mayGrant();
  }

  #mayGrant(): boolean {
    return this.#granted === null && this.buffered <= pacedBytes;
  }

  /** One at a time: until its message is here, nobody knows how large it is. */
  #grant(): void {
    this.#grants += 1;
    const grant = this.#grants;
    this.#granted = grant;
    // Whoever was let through and then had nothing to send must not hold up the others.
    setImmediate(() => {
      if (this.#granted !== grant) return;
      this.#granted = null;
      this.#admit();
    });
  }

  #admit(): void {
    if (this.#waiting.length === 0 || !this.#mayGrant()) return;
    const admitted = this.#waiting.shift();
    this.#grant();
    admitted?.();
  }

  #flush(): void {
    while (this.#inFlightBytes < windowBytes && !this.#closed) {
      const piece = this.#pieces.shift();
      if (piece === undefined) break;
      const size = piece.data.length;
      this.#queuedBytes -= size;
      if (this.#inFlightBytes === 0) this.#lastProgress = this.#options.clock.now();
      this.#inFlightBytes += size;
      this.#watch();
      this.#inFlight.push(piece);
      this.#socket.send(piece.data, piece.fin ? lastPiece : furtherPiece, this.#onTaken);
    }
  }

  /** What is taken is taken in order. */
  #taken(): void {
    const piece = this.#inFlight.shift();
    if (piece === undefined) return;
    const { data, oversize } = piece;
    this.#inFlightBytes -= data.length;
    if (oversize) this.#oversizeBytes -= data.length;
    this.#lastProgress = this.#options.clock.now();
    this.#flush();
    if (this.buffered === 0) {
      this.#onEmpty?.();
      this.#onEmpty = null;
    }
    this.#admit();
  }

  #watch(): void {
    if (this.#stopWatching !== null) return;
    const { clock, stallMs } = this.#options;
    // One timer for all messages: to set and cancel one for each would cost as much as sending it.
    const check = () => {
      if (this.buffered === 0) {
        this.#stopWatching = null;
        return;
      }
      const left = this.#lastProgress + stallMs - clock.now();
      if (left <= 0) return this.#cut();
      this.#stopWatching = clock.after(left, check);
    };
    this.#stopWatching = clock.after(stallMs, check);
  }

  #cut(): void {
    if (this.#closed) return;
    this.#options.onCut();
    this.sever();
  }
}
