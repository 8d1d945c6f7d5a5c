/** Beyond this, chunks that wait are joined; a reader that keeps up sees each event by itself. */
const joinFrom = 256;

/** What waits for one reader. */
export interface EventQueue<Event> {
  push(event: Event): void;
  /** How many events wait. */
  size(): number;
  /** Ends the iteration after what waits. */
  end(): void;
  /** Drops what waits and ends the iteration at once. */
  discard(): void;
  /** Ends the iteration with an error after what waits. */
  fail(error: unknown): void;
  next(): Promise<IteratorResult<Event, undefined>>;
}

/** What the queue knows of events: the text of one generation may be joined, or replaced by a `resync`. */
interface QueuedEvent {
  readonly type: string;
  readonly id: string;
  readonly streamId?: string;
  readonly text?: string;
}

/**
 * A queue that a slow reader cannot grow without bound: from 256 waiting events on, a chunk is joined to the chunk before it
 * (the joined event has the later id), and a `resync` drops the chunks that it makes obsolete. What remains is bounded by
 * the length of the answer.
 */
export function createEventQueue<Event extends QueuedEvent>(): EventQueue<Event> {
  let waiting: Event[] = [];
  let end: { error: unknown } | 'ended' | null = null;
  const readers: PromiseWithResolvers<IteratorResult<Event, undefined>>[] = [];

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
        const replaced = ({ type, streamId }: Event) =>
          (type === 'chunk' || type === 'resync') && streamId === event.streamId;
        waiting = waiting.filter((earlier) => !replaced(earlier));
      }
      const joins = last?.type === 'chunk' && event.type === 'chunk' && last.streamId === event.streamId;
      if (full && joins) waiting[waiting.length - 1] = { ...event, text: `${last.text}${event.text}` };
      else waiting.push(event);
    },
    size: () => waiting.length,
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
      const reader = Promise.withResolvers<IteratorResult<Event, undefined>>();
      readers.push(reader);
      if (end !== null) settle();
      return reader.promise;
    },
  };
}
