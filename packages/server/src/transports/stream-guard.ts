import type { Clock } from '../platform/clock.ts';
import { at } from '../platform/deadline.ts';

/** A larger piece would leave a slow reader's progress unseen for too long. */
const pieceBytes = 64 * 1024;

export interface StreamGuardOptions {
  readonly clock: Clock;
  /** Sent before anything else. */
  readonly prefix?: string;
  /** Milliseconds since the epoch at which the stream ends; null for never. */
  readonly endsAt: number | null;
  /** Ends the stream when it aborts. */
  readonly signal: AbortSignal;
  /** A reader that takes nothing for so long is cut. */
  readonly stallMs: number;
  /** Ends the connection of a reader that has stalled, if its answer is not all out yet. */
  readonly cut: () => void;
}

/**
 * A streamed body that ends in good order (at the end of its token, at shutdown, when its source fails) without saying
 * why: an error event would end the stock client's subscription for good, an end lets it reconnect and resume. It is pulled
 * piece by piece, so that what a slow reader costs is one piece and the socket's own buffer; a stalled one is cut.
 */
export function guardStream(
  body: ReadableStream<Uint8Array>,
  { clock, prefix, endsAt, signal, stallMs, cut }: StreamGuardOptions,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let rest: Uint8Array = new TextEncoder().encode(prefix ?? '');
  let ended = false;
  let controller: ReadableStreamDefaultController<Uint8Array>;
  let cancelStallTimer = () => {};
  let cancelEndTimer = () => {};
  const onAbort = () => end();

  // The stall timer goes on: what was handed over last may still be waiting for the reader.
  function release() {
    ended = true;
    cancelEndTimer();
    signal.removeEventListener('abort', onAbort);
  }

  function end() {
    if (ended) return;
    release();
    reader.cancel().catch(() => {});
    controller.close();
  }

  return new ReadableStream<Uint8Array>(
    {
      start(started) {
        controller = started;
        if (endsAt !== null) cancelEndTimer = at(clock, endsAt, end);
        signal.addEventListener('abort', onAbort, { once: true });
        if (signal.aborted) end();
      },
      async pull() {
        cancelStallTimer();
        try {
          while (rest.length === 0) {
            const { done, value } = await reader.read();
            if (ended) return;
            if (done) return end();
            rest = value;
          }
        } catch {
          return end();
        }
        if (ended) return;
        const piece = rest.subarray(0, pieceBytes);
        rest = rest.subarray(piece.length);
        // The next pull comes when the socket has taken this piece.
        cancelStallTimer = clock.after(stallMs, () => {
          end();
          cut();
        });
        controller.enqueue(piece);
      },
      cancel(reason) {
        cancelStallTimer();
        release();
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
