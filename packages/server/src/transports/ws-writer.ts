import type { Clock } from '../platform/clock.ts';
import type { Outbound } from '../trpc/pacing.ts';
import { currentTurn, runAtTurnEnd } from './turn-end.ts';
import { textFrame } from './ws-text-frame.ts';

/** The part of a connection that is written to: the bytes below a WebSocket, on which nothing else sends messages. */
export interface WritableConnection {
  /** False once the connection is over or about to be: nothing may be written any more. */
  readonly isOpen: boolean;
  /** Bytes that were written and that the operating system has not taken; what it takes at once is never among them. */
  readonly pending: number;
  write(bytes: Buffer, taken?: (error?: Error | null) => void): void;
  /** Asks the client for a sign, of this number, which it gives when it has read everything before. */
  ping(sign: number): void;
  terminate(): void;
}

export interface WriterOptions {
  readonly clock: Clock;
  /** A reader that has taken nothing for so long is cut. */
  readonly stallMs: number;
  /** Told before the socket is cut for not reading. */
  readonly onCut: () => void;
}

/**
 * Messages are cut to pieces of this size, so that a slow reader's progress shows before a long one is through; of many
 * short ones, as many go out together.
 */
const pieceBytes = 64 * 1024;
/** Above this, results and events wait for the reader. */
const pacedBytes = 256 * 1024;
/** Above this, whatever else there is to say to a client that does not read ends the connection. */
const maxBytes = 1024 * 1024;
/** What a piece that waits costs beside its bytes, about: many short ones are no way around the limit. */
const pieceOverheadBytes = 384;
/** How far apart a reader who is behind is asked for signs of reading on. */
const bytesBetweenSigns = 2 * pieceBytes;
/** Clients give up on a server that asks for more without being heard. */
const mostSignsAsked = 40;
/** The longest message that can be sent as a frame that was made before. */
export const longestFrameBytes = pieceBytes;

/** Its being taken tells that what was written before it was. */
const nothing = Buffer.alloc(0);

/** Of a message one part, or all of it. */
interface Piece {
  readonly frame: Buffer;
  /** Memory that it takes. */
  readonly bytes: number;
  readonly oversize: boolean;
}

/** What was handed to the socket in one go. */
interface Batch {
  readonly bytes: number;
  readonly oversizeBytes: number;
}

/**
 * Writes to one socket: paces those who ask before they send, and cuts a reader that takes nothing. What it holds is at
 * most `maxBytes` and one message. What is said within one turn of the event loop goes out at its end, together: a system
 * call for each message would cost more than all the rest.
 */
export class WsWriter implements Outbound {
  readonly #connection: WritableConnection;
  readonly #options: WriterOptions;
  #pieces: Piece[] = [];
  /** What the operating system did not take at once: nothing else is handed to it meanwhile. */
  #inFlight: Batch | null = null;
  readonly #onTaken = () => this.#taken();
  readonly #onTurnEnd = () => {
    this.#isFlushDue = false;
    this.#flush();
  };
  #isFlushDue = false;
  /** The turn in which a message was last handed over at once. */
  #wroteIn = -1;
  #queuedBytes = 0;
  /** What is left of a message that is by itself more than a paced reader may owe: it was let through, so it counts for no cut. */
  #oversizeBytes = 0;
  #lastProgress = 0;
  #bytesSinceSign = 0;
  #signsAsked = 0;
  #signsGiven = 0;
  #stopWatching: (() => void) | null = null;
  #waiting: (() => void)[] = [];
  /** The permission that is out, by number; null when its message has come or it was not used. */
  #granted: number | null = null;
  #grants = 0;
  #onEmpty: (() => void) | null = null;
  #closed = false;

  constructor(connection: WritableConnection, options: WriterOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Bytes of memory that are held for the reader, who has not taken them yet. */
  get buffered(): number {
    return this.#queuedBytes + (this.#inFlight?.bytes ?? 0);
  }

  send(text: string): void {
    // UTF-8 takes at most three bytes for each unit of a string.
    if (text.length * 3 <= pieceBytes) return this.sendFrame(textFrame(text));
    const message = Buffer.from(text);
    if (!this.#mayQueue()) return;
    const oversize = message.length > pacedBytes;
    for (let start = 0; start < message.length; start += pieceBytes) {
      const payload = message.subarray(start, start + pieceBytes);
      const place = { isFirst: start === 0, isLast: start + pieceBytes >= message.length };
      this.#queue(textFrame(payload, place), oversize);
    }
    this.#queued();
  }

  /** Sends a message that is one whole frame of at most `longestFrameBytes`, which must not be changed any more. */
  sendFrame(frame: Buffer): void {
    if (!this.#mayQueue()) return;
    this.#queue(frame, false);
    this.#queued();
  }

  /**
   * The same, handed over at once where it is the first of its turn: to gather one message costs those who are told it
   * together a second round. Those that follow it wait for the end of the turn.
   */
  sendFrameAtOnce(frame: Buffer): void {
    const turn = currentTurn();
    if (this.#wroteIn === turn || this.#pieces.length > 0 || this.#inFlight !== null) return this.sendFrame(frame);
    if (this.#closed || !this.#connection.isOpen) return;
    this.#wroteIn = turn;
    this.#granted = null;
    this.#connection.write(frame);
    if (this.#connection.pending > 0) this.#await({ bytes: frame.length + pieceOverheadBytes, oversizeBytes: 0 });
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

  /** The client has given the sign of this number, and may have left out those before: it reads. */
  heard(sign: number): void {
    if (!(sign > this.#signsGiven && sign <= this.#signsAsked)) return;
    this.#signsGiven = sign;
    this.#lastProgress = this.#options.clock.now();
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
    this.#connection.terminate();
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

  #mayQueue(): boolean {
    if (this.#closed) return false;
    if (!this.#owesTooMuch()) return true;
    // What was said in this turn has not even been offered to the reader.
    this.#flush();
    if (this.#closed || !this.#owesTooMuch()) return !this.#closed;
    this.#cut();
    return false;
  }

  #owesTooMuch(): boolean {
    return this.buffered - this.#oversizeBytes > maxBytes;
  }

  #queue(frame: Buffer, oversize: boolean): void {
    const bytes = frame.length + pieceOverheadBytes;
    this.#pieces.push({ frame: this.#inFlight === null ? frame : alone(frame), bytes, oversize });
    this.#queuedBytes += bytes;
    if (oversize) this.#oversizeBytes += bytes;
  }

  /** A message is here. */
  #queued(): void {
    this.#granted = null;
    if (!this.#isFlushDue && this.#inFlight === null) {
      this.#isFlushDue = true;
      runAtTurnEnd(this.#onTurnEnd);
    }
    this.#admit();
  }

  #flush(): void {
    while (this.#pieces.length > 0 && this.#inFlight === null && !this.#closed) this.#writeBatch();
    if (this.buffered === 0) {
      this.#onEmpty?.();
      this.#onEmpty = null;
    }
    this.#admit();
  }

  /** Hands over what makes one piece, whether it is a part of a message or many messages. */
  #writeBatch(): void {
    let total = 0;
    let oversizeBytes = 0;
    let count = 0;
    for (const { bytes, oversize } of this.#pieces) {
      if (count > 0 && total + bytes > pieceBytes) break;
      total += bytes;
      if (oversize) oversizeBytes += bytes;
      count += 1;
    }
    const pieces = this.#pieces;
    this.#pieces = pieces.splice(count);
    this.#queuedBytes -= total;
    // Once the WebSocket has said its last word, nobody takes this any more.
    const isTaken = !this.#connection.isOpen || this.#write(pieces);
    if (this.#pieces.length > 0) this.#askForSign(total);
    if (isTaken) this.#oversizeBytes -= oversizeBytes;
    else this.#await({ bytes: total, oversizeBytes });
  }

  /** True where the operating system has taken everything at once: only who has to wait needs to be called back. */
  #write([first, ...others]: readonly Piece[]): boolean {
    if (first === undefined) return true;
    const { frame } = first;
    this.#connection.write(others.length === 0 ? frame : Buffer.concat([frame, ...others.map((piece) => piece.frame)]));
    return this.#connection.pending === 0;
  }

  /** The system's own buffers hold megabytes, and tell nothing of a reader who is slowly on the way through them. */
  #askForSign(bytes: number): void {
    this.#bytesSinceSign += bytes;
    if (this.#bytesSinceSign < bytesBetweenSigns || this.#signsAsked - this.#signsGiven >= mostSignsAsked) return;
    if (!this.#connection.isOpen) return;
    this.#bytesSinceSign = 0;
    this.#signsAsked += 1;
    this.#connection.ping(this.#signsAsked);
  }

  #await(batch: Batch): void {
    this.#inFlight = batch;
    this.#pieces = this.#pieces.map((piece) => ({ ...piece, frame: alone(piece.frame) }));
    this.#lastProgress = this.#options.clock.now();
    this.#watch();
    this.#connection.write(nothing, this.#onTaken);
  }

  #taken(): void {
    this.#oversizeBytes -= this.#inFlight?.oversizeBytes ?? 0;
    this.#inFlight = null;
    this.#flush();
  }

  #watch(): void {
    if (this.#stopWatching !== null) return;
    const { clock, stallMs } = this.#options;
    // One timer for all messages: to set and cancel one for each would cost as much as sending it.
    const check = () => {
      // Nothing is owed but what was said in this turn.
      if (this.#inFlight === null) {
        this.#stopWatching = null;
        return;
      }
      const left = this.#lastProgress + stallMs - clock.now();
      if (left > 0) this.#stopWatching = clock.after(left, check);
      else setImmediate(cutUnlessTaken, this.#lastProgress);
    };
    // A process that has slept may have heard of nothing yet.
    const cutUnlessTaken = (progress: number) => {
      if (this.#inFlight !== null && this.#lastProgress === progress) return this.#cut();
      this.#stopWatching = clock.after(stallMs, check);
    };
    this.#stopWatching = clock.after(stallMs, check);
  }

  #cut(): void {
    if (this.#closed) return;
    this.#options.onCut();
    this.sever();
  }
}

/** Short buffers share their memory with others: one that waits must not keep all of it. */
function alone(frame: Buffer): Buffer {
  if (frame.buffer.byteLength === frame.length) return frame;
  const copy = Buffer.allocUnsafeSlow(frame.length);
  frame.copy(copy);
  return copy;
}
