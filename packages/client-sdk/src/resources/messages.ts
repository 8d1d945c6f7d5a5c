import type {
  DeleteMessageInput,
  FinalizeMessageInput,
  FinalizeMessageOutput,
  FollowMessageInput,
  ListMessagesInput,
  SendMessageInput,
  SendMessageOutput,
  StartMessageInput,
  StartMessageOutput,
  StopMessageInput,
  StopMessageOutput,
} from '@chat-service/shared/message-api';
import type { Message } from '@chat-service/shared/objects';
import { initialGenerationState, type GenerationState } from '../generation-state.ts';
import { MessageStream } from '../message-stream.ts';
import { PagedList } from '../paged-list.ts';
import type { RequestOptions } from '../transport/call.ts';
import { watchGeneration, type WatchTarget } from '../transport/watch-generation.ts';
import type { WatchOptions } from '../transport/watch-log.ts';
import { at, deleted, type ResourceContext } from './resource-context.ts';

export interface StreamOptions {
  /** Ends the watching, with the signal's reason; the generation goes on. To stop it, call the stream's `abort`. */
  signal?: AbortSignal;
}

export interface FollowInput extends Omit<FollowMessageInput, 'lastEventId'> {
  /** Goes on after this event; `message` then holds only what comes after it. */
  lastEventId?: string;
  /** Goes on from what an earlier stream knew (its `state`); wins over `lastEventId`. */
  state?: GenerationState;
}

export interface Messages {
  /**
   * Sends a message and waits for the whole answer, by default up to 11 minutes. Without `message` the newest user
   * message is answered, if it is unanswered.
   *
   * @throws {ModelError} when the generation failed
   * @throws {GenerationInProgressError} when the session is generating already
   */
  send(input: SendMessageInput, options?: RequestOptions): Promise<SendMessageOutput>;
  /** Starts an answer without watching it: follow it by its `streamId`. */
  start(input: StartMessageInput, options?: RequestOptions): Promise<StartMessageOutput>;
  /**
   * Sends a message and streams the answer.
   *
   * @example
   * const stream = chat.messages.stream({ sessionId, message: 'Hello' });
   * for await (const event of stream) if (event.type === 'chunk') process.stdout.write(event.text);
   * const message = await stream.finalMessage();
   */
  stream(input: SendMessageInput, options?: StreamOptions): MessageStream;
  /** Watches a generation that runs, or ended a short while ago; starts nothing. Without `streamId`: the latest. */
  follow(input: FollowInput, options?: StreamOptions): MessageStream;
  /** Stops the running generation, or only the one that `streamId` names; what was produced is kept. */
  stop(input: StopMessageInput, options?: RequestOptions): Promise<StopMessageOutput>;
  /** Acknowledges an answer: tells whether the client's text equals the stored one, and changes nothing. */
  finalize(input: FinalizeMessageInput, options?: RequestOptions): Promise<FinalizeMessageOutput>;
  /** The messages of a session, oldest first unless `order` is `desc`. */
  list(input: ListMessagesInput, options?: RequestOptions): PagedList<Message>;
  /** Deletes one message. */
  delete(input: DeleteMessageInput, options?: RequestOptions): Promise<void>;
}

/** A model may write for ten minutes; the rest is for admission and settlement. */
const sendTimeoutMs = 660_000;

export function createMessages({ trpc, call, newKey }: ResourceContext, watchOptions: WatchOptions): Messages {
  const keyed = (input: SendMessageInput) => ({ ...input, idempotencyKey: input.idempotencyKey ?? newKey() });

  function stop(input: StopMessageInput, options?: RequestOptions): Promise<StopMessageOutput> {
    // Without the id, a repeat could stop the answer after the one that was meant.
    const repeatable = input.streamId !== undefined;
    return call((signal) => trpc.message.stop.mutate(input, { signal }), { repeatable, options });
  }

  function watch(target: WatchTarget, state: GenerationState, options: StreamOptions = {}): MessageStream {
    const { sessionId } = target.input;
    return new MessageStream({
      state,
      signal: options.signal,
      open: (handlers) => watchGeneration(target, handlers, watchOptions),
      stop: (streamId) => stop({ sessionId, streamId }),
    });
  }

  return {
    send(input, options) {
      const request = keyed(input);
      return call((signal) => trpc.message.send.mutate(request, { signal }), {
        repeatable: true,
        options,
        timeoutMs: sendTimeoutMs,
      });
    },
    start(input, options) {
      const request = keyed(input);
      return call((signal) => trpc.message.start.mutate(request, { signal }), { repeatable: true, options });
    },
    stream: (input, options) =>
      watch({ kind: 'stream', input: keyed(input) }, initialGenerationState(input.sessionId), options),
    follow({ state, ...input }, options) {
      const streamId = state?.streamId ?? input.streamId;
      const lastEventId = state?.lastEventId ?? input.lastEventId;
      const target: FollowMessageInput = {
        sessionId: input.sessionId,
        ...(streamId !== undefined && { streamId }),
        ...(lastEventId !== undefined && { lastEventId }),
      };
      return watch({ kind: 'follow', input: target }, state ?? initialGenerationState(input.sessionId), options);
    },
    stop,
    finalize: (input, options) =>
      call((signal) => trpc.message.finalize.mutate(input, { signal }), { repeatable: true, options }),
    list: (input, options) =>
      new PagedList(async (cursor) => {
        const { messages, pagination } = await call(
          (signal) => trpc.message.list.query(at(input, cursor), { signal }),
          { repeatable: true, options },
        );
        return { items: messages, pagination };
      }),
    delete: (input, options) =>
      call(
        deleted((signal) => trpc.message.delete.mutate(input, { signal })),
        { repeatable: true, options },
      ),
  };
}
