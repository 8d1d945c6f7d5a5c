import type { FollowMessageInput, StreamMessageInput } from '@chat-service/shared/message-api';
import { isTerminalEvent } from '@chat-service/shared/events';
import { ConnectionError, UnauthorizedError, type ChatError } from '../errors.ts';
import type { TrackedEvent } from '../generation-state.ts';
import { toChatError } from '../read-error.ts';
import { delayAfter, mayRepeat } from './call.ts';
import type { RetryDelay } from './back-off.ts';
import type { Transport } from './transport.ts';

export type WatchTarget =
  | { readonly kind: 'stream'; readonly input: StreamMessageInput }
  | { readonly kind: 'follow'; readonly input: FollowMessageInput };

export interface WatchHandlers {
  /** Each event once, in the order of its ids. */
  onEvent(tracked: TrackedEvent): void;
  /** After the terminal event, or when there is nothing (more) to follow. */
  onEnd(): void;
  /** It is over: refused, or given up. */
  onError(error: ChatError): void;
  onReconnecting(attempt: number, error: ChatError): void;
}

export interface Watch {
  /** Leaves; no handler is called any more. The generation goes on. */
  close(): void;
}

export interface WatchOptions {
  readonly transport: Transport;
  readonly maxReconnects: number;
  readonly retryDelayMs: RetryDelay;
}

/** Before the first event nothing is at stake yet, and the caller should soon hear that nobody answers. */
const maxReconnectsBeforeStart = 5;
/** A token function may itself be a moment behind; one that never gives a valid token must not be asked for ever. */
const maxTokenRefreshes = 2;

interface WatchState {
  streamId: string | undefined;
  lastEventId: string | undefined;
  /** Set from the first event on: from then on it is only followed, and the text is never sent again. */
  seen: boolean;
  failures: number;
  refreshes: number;
}

/**
 * Watches one generation until its terminal event, through lost connections, expired tokens and restarts of the server,
 * without a gap and without a repetition. It starts the generation at most once: until the first event, repeats carry the
 * same idempotency key; after it they only follow.
 */
export function watchGeneration(target: WatchTarget, handlers: WatchHandlers, options: WatchOptions): Watch {
  const { transport } = options;
  const known: WatchState = {
    streamId: target.kind === 'follow' ? target.input.streamId : undefined,
    lastEventId: target.input.lastEventId ?? undefined,
    seen: false,
    failures: 0,
    refreshes: 0,
  };
  let over = false;
  /** Names the subscription that counts; what an earlier one still says is ignored. */
  let current = 0;
  let unsubscribe: () => void = () => {};
  let subscribed = false;
  let following = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let connectionError: ChatError | null = null;
  const endReconnects = transport.onReconnect(reconnecting);

  function leave(): void {
    current += 1;
    clearTimeout(timer);
    unsubscribe();
    unsubscribe = () => {};
    subscribed = false;
  }

  function finish(tell: () => void): void {
    if (over) return;
    over = true;
    endReconnects();
    leave();
    tell();
  }

  /** Says whether another attempt may be made, and tells of it. */
  function goesOn(error: ChatError): boolean {
    const limit = known.seen ? options.maxReconnects : Math.min(options.maxReconnects, maxReconnectsBeforeStart);
    const attempt = known.failures + transport.failures();
    if (attempt > limit || transport.closed()) finish(() => handlers.onError(error));
    else handlers.onReconnecting(attempt, error);
    return !over;
  }

  function subscribe(): void {
    leave();
    const mine = current;
    following = known.seen || target.kind === 'follow';
    const ifCurrent =
      <Arguments extends unknown[]>(listener: (...args: Arguments) => void) =>
      (...args: Arguments): void => {
        if (mine === current && !over) listener(...args);
      };
    const listeners = {
      onData: ifCurrent(({ id, data }: { id: string; data: TrackedEvent['event'] }) => receive({ id, event: data })),
      onError: ifCurrent((error: unknown) => refused(toChatError(error))),
      onComplete: ifCurrent(completed),
      onConnectionStateChange: ifCurrent((state: { state: string; error: unknown }) => {
        connectionError = state.error === null ? null : toChatError(state.error);
      }),
    };
    const { message } = transport.trpc;
    const subscription =
      target.kind === 'stream' && !following
        ? message.stream.subscribe(target.input, listeners)
        : message.follow.subscribe(followInput(), listeners);
    unsubscribe = () => subscription.unsubscribe();
    subscribed = true;
  }

  function followInput(): FollowMessageInput {
    return {
      sessionId: target.input.sessionId,
      ...(known.streamId !== undefined && { streamId: known.streamId }),
      ...(known.lastEventId !== undefined && { lastEventId: known.lastEventId }),
    };
  }

  function receive(tracked: TrackedEvent): void {
    if (known.lastEventId !== undefined && tracked.id <= known.lastEventId) return;
    transport.progress();
    Object.assign(known, { failures: 0, refreshes: 0, seen: true });
    known.lastEventId = tracked.id;
    known.streamId ??= tracked.event.streamId;
    const ended = isTerminalEvent(tracked.event);
    if (ended) leave();
    handlers.onEvent(tracked);
    if (ended) finish(() => handlers.onEnd());
  }

  /** tRPC is about to open another socket, on which it would send this subscription again as it was. */
  function reconnecting(): void {
    if (!subscribed || over) return;
    // Without an error the server has asked for it, as before it shuts down, and the old socket still serves.
    if (connectionError !== null && !goesOn(connectionError)) return;
    if (!known.seen || following) return;
    const mine = current;
    // Later, because tRPC is still busy with the loss: a new subscription would open a socket without any delay.
    queueMicrotask(() => {
      if (mine === current && !over) subscribe();
    });
  }

  function completed(): void {
    if (target.kind === 'follow' && !known.seen && !transport.closed()) return finish(() => handlers.onEnd());
    const closed = transport.closed();
    retry(new ConnectionError(closed ? 'The client was closed' : 'The stream ended without its last event'));
  }

  function refused(error: ChatError): void {
    if (error instanceof UnauthorizedError && transport.tokens.renewable && known.refreshes < maxTokenRefreshes) {
      known.refreshes += 1;
      return void subscribeAnew();
    }
    if (mayRepeat(error, true)) retry(error);
    else finish(() => handlers.onError(error));
  }

  async function subscribeAnew(): Promise<void> {
    leave();
    const mine = current;
    await transport.renewSocket();
    if (mine === current && !over) subscribe();
  }

  function retry(error: ChatError): void {
    known.failures += 1;
    if (!goesOn(error)) return;
    leave();
    timer = setTimeout(subscribe, delayAfter(error, known.failures - 1, options.retryDelayMs));
  }

  subscribe();
  return { close: () => finish(() => {}) };
}
