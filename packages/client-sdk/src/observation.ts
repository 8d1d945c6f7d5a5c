import type { ObservationEvent } from '@chat-service/shared/events';
import { createEventQueue } from './event-queue.ts';
import { reduceObservation, type ObservationState, type ObservationStreamEvent } from './observation-state.ts';
import type { Watch, WatchHandlers } from './transport/watch-log.ts';

/** @internal */
export interface ObservationSource {
  readonly state: ObservationState;
  readonly signal?: AbortSignal | undefined;
  open(handlers: Omit<WatchHandlers<ObservationEvent>, 'onReconnecting'>): Watch;
}

/** A reader that is so far behind lets go of the session, and comes back to it where it stands once it has caught up. */
const maxWaiting = 1_000;

/**
 * A session as a supervisor sees it: what is stored, then everything that happens, through lost connections and expired
 * tokens, until the session is deleted, the observer's role or token comes to its end, or the observer leaves. It begins
 * when it is iterated, once; leaving the loop ends it. Neither the user nor other observers feel any of it.
 *
 * Each event comes once, in order. Where the server can not tell what was missed, it begins anew: a `history-start` in the
 * middle means that everything is told again from there.
 */
export class Observation implements AsyncIterable<ObservationStreamEvent>, AsyncDisposable {
  readonly #source: ObservationSource;
  readonly #queue = createEventQueue<ObservationStreamEvent>();
  #state: ObservationState;
  #watch: Watch | null = null;
  #iterated = false;

  /** @internal */
  constructor(source: ObservationSource) {
    this.#source = source;
    this.#state = source.state;
  }

  /** What the events that were iterated over amount to. Give it to `observe` to go on later, also in another process. */
  get state(): ObservationState {
    return this.#state;
  }

  /** Stops watching; the iteration ends. */
  disconnect(): void {
    this.#close();
    this.#queue.discard();
  }

  /**
   * @throws {ForbiddenError} for a user who is no supervisor
   * @throws {NotFoundError} where there is no such session
   * @throws {ChatError} when it was refused for another reason, or could not be watched any longer
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ObservationStreamEvent, void, undefined> {
    if (this.#iterated) throw new Error('An observation can be iterated once');
    this.#iterated = true;
    this.#open();
    try {
      for (;;) {
        const result = await this.#queue.next();
        if (result.done === true) return;
        if (this.#queue.size() === 0) this.#watch?.resume();
        const { id, ...event } = result.value;
        this.#state = reduceObservation(this.#state, { id, event });
        yield result.value;
      }
    } finally {
      this.disconnect();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disconnect();
  }

  #open(): void {
    const { signal } = this.#source;
    if (signal?.aborted === true) return this.#queue.fail(signal.reason);
    signal?.addEventListener('abort', this.#onSignal, { once: true });
    this.#watch = this.#source.open({
      onEvent: ({ id, event }) => {
        if (!isKnown(event)) return;
        this.#queue.push({ ...event, id });
        if (this.#queue.size() >= maxWaiting) this.#watch?.pause();
      },
      onEnd: () => this.#queue.end(),
      onError: (error) => this.#queue.fail(error),
    });
  }

  #close(): void {
    this.#source.signal?.removeEventListener('abort', this.#onSignal);
    this.#watch?.close();
  }

  readonly #onSignal = (): void => {
    this.#close();
    this.#queue.fail(this.#source.signal?.reason);
  };
}

const knownTypes: Readonly<Record<ObservationEvent['type'], true>> = {
  start: true,
  chunk: true,
  done: true,
  error: true,
  resync: true,
  message: true,
  observer: true,
  'message-deleted': true,
  'session-updated': true,
  'session-deleted': true,
  'history-start': true,
  'history-end': true,
};

function isKnown({ type }: ObservationEvent): boolean {
  return Object.hasOwn(knownTypes, type);
}
