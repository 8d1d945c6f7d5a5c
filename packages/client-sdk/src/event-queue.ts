import type { StreamEvent } from './generation-state.ts';

/** Beyond this, chunks that wait are joined; a reader that keeps up sees each event by itself. */
const joinFrom = 256;

/** What waits for one reader. */
export interface EventQueue {
  push(event: StreamEvent): void;
  /** Ends the iteration after what waits. */
  end(): void;
  /** Drops what waits and ends the iteration at once. */
  discard(): void;
  /** Ends the iteration with an error after what waits. */
  fail(error: unknown): void;
  next(): Promise<IteratorResult<StreamEvent, undefined>>;
}

/**
 * A queue that a slow reader cannot grow without bound: from 256 waiting events on, a chunk is joined to the chunk before it
 * (the joined event has the later id), and a `resync` drops the chunks that it makes obsolete. What remains is bounded by
 * the length of the answer.
 */
export function createEventQueue(): EventQueue {
  let waiting: StreamEvent[] = [];
  let end: { error: unknown } | 'ended' | null = null;
  const readers: PromiseWithResolvers<IteratorResult<StreamEvent, undefined>>[] = [];

  function settle(): void {
    for (const reader of readers.splice(0)) {
      if (end !== null && end !== 'ended') {
        reader.reject(end.error);
        end = 'ended';
      } else reader.resolve({ value: undefined, done: true });
    }
  }

  return {
    push(event) {
      if (end !== null) return;
      const reader = readers.shift();
      if (reader !== undefined) return reader.resolve({ value: event, done: false });
      const full = waiting.length >= joinFrom;
      const last = waiting.at(-1);
      if (full && event.type === 'resync') {
        waiting = waiting.filter(({ type }) => type !== 'chunk' && type !== 'resync');
      }
      if (full && event.type === 'chunk' && last?.type === 'chunk') {
        waiting[waiting.length - 1] = { ...event, text: last.text + event.text };
      } else waiting.push(event);
    },
    end() {
      end ??= 'ended';
      settle();
    },
    discard() {
      waiting = [];
      end = 'ended';
      settle();
    },
    fail(error) {
      end ??= { error };
      settle();
    },
    next() {
      const event = waiting.shift();
      if (event !== undefined) return Promise.resolve({ value: event, done: false });
      const reader = Promise.withResolvers<IteratorResult<StreamEvent, undefined>>();
      readers.push(reader);
      if (end !== null) settle();
      return reader.promise;
    },
  };
}
