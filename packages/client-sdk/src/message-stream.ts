import type { ObservedEvent, ResyncEvent, StartEvent } from '@chat-service/shared/events';
import type { Message } from '@chat-service/shared/objects';
import { createEmitter, type Emitter } from './emitter.ts';
import { DisconnectedError, NothingToFollowError, type ChatError } from './errors.ts';
import { createEventQueue } from './event-queue.ts';
import {
  reduceGeneration,
  type GenerationState,
  type MessageSnapshot,
  type StreamEvent,
  type TrackedEvent,
} from './generation-state.ts';
import { fromErrorEvent } from './read-error.ts';
import type { Watch, WatchHandlers } from './transport/watch-log.ts';

/** A change of the answer's text. */
export interface TextChange {
  /** What to append to what was shown. With `reset` it is the whole text. */
  readonly delta: string;
  /** The whole text so far. */
  readonly snapshot: string;
  /** True when what was shown is not the beginning of the text any more: drop it. Rare, after a loss on the server. */
  readonly reset: boolean;
}

/** What listeners of a stream are told, by the name of the event. */
export type MessageStreamEvents = {
  /** The generation is admitted: the user's message is stored. */
  start: StartEvent & { readonly id: string };
  text: TextChange;
  resync: ResyncEvent & { readonly id: string };
  /** How many supervisors are watching; only where the operator has it shown. */
  observed: ObservedEvent & { readonly id: string };
  /** Every event, as the iteration yields it. */
  event: StreamEvent;
  /** A connection was lost, or could not be made; another attempt follows. */
  reconnecting: { readonly attempt: number; readonly error: ChatError };
  /** The answer is complete, or was stopped. */
  done: Message;
  /** The generation failed, was refused, or could not be watched to its end. */
  error: unknown;
};

/** @internal */
export interface MessageStreamSource {
  readonly state: GenerationState;
  readonly signal?: AbortSignal | undefined;
  open(handlers: WatchHandlers<TrackedEvent['event']>): Watch;
  stop(streamId: string): Promise<unknown>;
}

/**
 * One generation, watched to its end through lost connections and expired tokens. It is read by iterating once, by
 * listening, or by waiting for the final message, in any combination. The iteration yields every event exactly once, in
 * order; leaving it early disconnects. A reader slower than the model holds at most the length of the answer: chunks that
 * wait are joined.
 *
 * The server owns the generation: `abort` stops it, `disconnect` only stops watching.
 */
export class MessageStream implements AsyncIterable<StreamEvent>, AsyncDisposable {
  readonly #source: MessageStreamSource;
  readonly #emitter: Emitter<MessageStreamEvents> = createEmitter();
  readonly #queue = createEventQueue<StreamEvent>();
  readonly #final = Promise.withResolvers<Message>();
  readonly #watch: Watch;
  #state: GenerationState;
  #stopping: PromiseWithResolvers<void> | null = null;
  #iterated = false;
  /** Left by the caller; while a stop still waits for the stream's id, the watch goes on unseen. */
  #left = false;
  #settled = false;

  /** @internal */
  constructor(source: MessageStreamSource) {
    this.#source = source;
    this.#state = source.state;
    // Nobody has to ask for the final message.
    this.#final.promise.catch(() => {});
    this.#watch = source.open({
      onEvent: (tracked) => this.#receive(tracked),
      onEnd: () => this.#end(),
      onError: (error) => this.#fail(error),
      onReconnecting: (attempt, error) => {
        if (!this.#left) this.#emitter.emit('reconnecting', { attempt, error });
      },
    });
    source.signal?.addEventListener('abort', this.#onSignal, { once: true });
    if (source.signal?.aborted === true) this.#onSignal();
  }

  /** The assistant message as far as it is known; null until the first event. */
  get message(): MessageSnapshot | null {
    return this.#state.message;
  }

  /** The generation's id, which is the assistant message's id too; null until the first event. */
  get streamId(): string | null {
    return this.#state.streamId;
  }

  /** Everything known. Give it to `chat.messages.follow` to go on later, also in another process. */
  get state(): GenerationState {
    return this.#state;
  }

  on<Name extends keyof MessageStreamEvents>(name: Name, listener: (payload: MessageStreamEvents[Name]) => void): this {
    this.#emitter.on(name, listener);
    return this;
  }

  off<Name extends keyof MessageStreamEvents>(
    name: Name,
    listener: (payload: MessageStreamEvents[Name]) => void,
  ): this {
    this.#emitter.off(name, listener);
    return this;
  }

  /**
   * The answer as it is stored, complete or stopped.
   *
   * @throws {ModelError} when the generation failed; `partial` is what it had produced
   * @throws {DisconnectedError} after `disconnect`
   * @throws {ChatError} when it was refused, or could not be watched to its end
   */
  finalMessage(): Promise<Message> {
    return this.#final.promise;
  }

  /** The text of the final message; throws as `finalMessage`. */
  async finalText(): Promise<string> {
    const { content } = await this.finalMessage();
    return content;
  }

  /**
   * Stops this generation, and only this one. Called before its id is known, it takes effect as soon as it is. What was
   * produced is kept, and the stream ends with `done` and status `stopped`. Resolves once the server has been told, also
   * when there was nothing to stop any more.
   */
  abort(): Promise<void> {
    if (this.#stopping !== null) return this.#stopping.promise;
    this.#stopping = Promise.withResolvers<void>();
    this.#stopping.promise.catch(() => {});
    if (this.#settled) this.#stopping.resolve();
    else this.#stopIfKnown();
    return this.#stopping.promise;
  }

  /** Stops watching. The generation goes on and is stored; the iteration ends, `finalMessage` rejects. */
  disconnect(): void {
    this.#leave(new DisconnectedError());
    this.#queue.discard();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent, void, undefined> {
    if (this.#iterated) throw new Error('A message stream can be iterated once');
    this.#iterated = true;
    try {
      for (;;) {
        const result = await this.#queue.next();
        if (result.done === true) return;
        yield result.value;
      }
    } finally {
      this.disconnect();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disconnect();
    await this.#stopping?.promise.catch(() => {});
  }

  #receive(tracked: TrackedEvent): void {
    const before = this.#state;
    this.#state = reduceGeneration(before, tracked);
    if (before.streamId === null) this.#stopIfKnown();
    if (this.#left) return;
    if (tracked.event.type === 'observed') return this.#emitter.emit('observed', { ...tracked.event, id: tracked.id });
    if (!isKnown(tracked.event)) return;
    const event: StreamEvent = { ...tracked.event, id: tracked.id };
    this.#queue.push(event);
    this.#emitter.emit('event', event);
    if (event.type === 'start') this.#emitter.emit('start', event);
    if (event.type === 'resync') this.#emitter.emit('resync', event);
    const change = textChange(before.message?.content ?? '', this.#state.message?.content ?? '');
    if (change !== null) this.#emitter.emit('text', change);
    if (event.type === 'done' && this.#settle()) {
      this.#final.resolve(event.message);
      this.#emitter.emit('done', event.message);
    }
    if (event.type === 'error') this.#reject(fromErrorEvent(event));
  }

  #end(): void {
    if (this.#settle()) this.#final.reject(new NothingToFollowError());
    this.#queue.end();
    this.#stopNothing();
  }

  #fail(error: unknown): void {
    this.#reject(error);
    this.#queue.fail(error);
    this.#stopNothing();
  }

  #reject(error: unknown): void {
    if (!this.#settle()) return;
    this.#final.reject(error);
    this.#emitter.emit('error', error);
  }

  /** Whether this is the first end, the one that counts. */
  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#source.signal?.removeEventListener('abort', this.#onSignal);
    return true;
  }

  /** A stop that still waited for the stream's id has nothing to stop any more. */
  #stopNothing(): void {
    if (this.#state.streamId === null || this.#state.ended) this.#stopping?.resolve();
  }

  #leave(reason: unknown): void {
    if (!this.#settle()) return;
    this.#final.reject(reason);
    this.#left = true;
    if (this.#stopping === null || this.#state.streamId !== null) this.#watch.close();
  }

  readonly #onSignal = (): void => {
    const reason: unknown = this.#source.signal?.reason;
    this.#leave(reason);
    this.#queue.fail(reason);
  };

  #stopIfKnown(): void {
    const { streamId, ended } = this.#state;
    const stopping = this.#stopping;
    if (stopping === null || streamId === null) return;
    if (ended) return stopping.resolve();
    this.#source.stop(streamId).then(() => stopping.resolve(), stopping.reject);
    if (this.#left) this.#watch.close();
  }
}

function isKnown({ type }: TrackedEvent['event']): boolean {
  return type === 'start' || type === 'chunk' || type === 'done' || type === 'error' || type === 'resync';
}

function textChange(before: string, after: string): TextChange | null {
  if (before === after) return null;
  const reset = !after.startsWith(before);
  return { delta: reset ? after : after.slice(before.length), snapshot: after, reset };
}
