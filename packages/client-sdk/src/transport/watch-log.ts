import { ConnectionError, NotFoundError, UnauthorizedError, type ChatError } from '../errors.ts';
import { toChatError } from '../read-error.ts';
import type { RetryDelay } from './back-off.ts';
import { delayAfter, mayRepeat } from './call.ts';
import type { LogSource, Tracked } from './log-source.ts';
import type { Transport } from './transport.ts';

export interface WatchHandlers<Event> {
  /** Each event once, in order. */
  onEvent(tracked: Tracked<Event>): void;
  /** After the last event, or when there is nothing (more) to follow. */
  onEnd(): void;
  /** It is over: refused, or given up. */
  onError(error: ChatError): void;
  onReconnecting(attempt: number, error: ChatError): void;
}

export interface Watch {
  /** Leaves; no handler is called any more. What is watched goes on. */
  close(): void;
  /** Lets go of the subscription until `resume`, which misses nothing. */
  pause(): void;
  resume(): void;
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
  lastEventId: string | undefined;
  /** Set from the first event on: from then on it is only followed. */
  seen: boolean;
  failures: number;
  refreshes: number;
}

/**
 * Watches a log until its last event, through lost connections, expired tokens and restarts of the server, without a gap
 * and without a repetition. Until the first event, repeats are the request that starts it, under the same idempotency key;
 * after it they only follow.
 */
export function watchLog<Event>(
  source: LogSource<Event>,
  handlers: WatchHandlers<Event>,
  options: WatchOptions,
): Watch {
  const { transport } = options;
  const known: WatchState = { lastEventId: source.lastEventId, seen: false, failures: 0, refreshes: 0 };
  let over = false;
  let paused = false;
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
    const ifCurrent =
      <Arguments extends unknown[]>(listener: (...args: Arguments) => void) =>
      (...args: Arguments): void => {
        if (mine === current && !over) listener(...args);
      };
    const { start } = source;
    const open = known.seen || start === undefined ? source.follow(known.lastEventId) : start;
    following = open !== start;
    const subscription = open({
      onData: ifCurrent(({ id, data }) => receive({ id, event: data })),
      onError: ifCurrent((error) => refused(toChatError(error))),
      onComplete: ifCurrent(completed),
      onConnectionStateChange: ifCurrent(({ error }) => {
        connectionError = error === null ? null : toChatError(error);
      }),
    });
    unsubscribe = () => subscription.unsubscribe();
    subscribed = true;
  }

  function receive(tracked: Tracked<Event>): void {
    const { lastEventId } = known;
    const isBeyond = lastEventId === undefined || tracked.id > lastEventId;
    const verdict = source.judge?.(tracked, lastEventId) ?? (isBeyond ? 'news' : 'repeated');
    if (verdict === 'repeated') return;
    if (verdict === 'token-ended' && refreshToken()) return;
    transport.progress();
    Object.assign(known, { failures: 0, refreshes: 0, seen: true });
    if (isBeyond || verdict === 'starts-over') known.lastEventId = tracked.id;
    if (verdict === 'back') return;
    const ended = source.isLast(tracked.event);
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
    const closed = transport.closed();
    if (source.mayBeEmpty && !known.seen && !closed) return finish(() => handlers.onEnd());
    retry(new ConnectionError(closed ? 'The client was closed' : 'The stream ended without its last event'));
  }

  function refused(error: ChatError): void {
    if (error instanceof UnauthorizedError && refreshToken()) return;
    if (error instanceof NotFoundError && known.seen && source.gone !== undefined) {
      // Behind everything that was told; nobody can ask for what comes after it.
      return receive({ id: `${known.lastEventId}.z`, event: source.gone });
    }
    if (mayRepeat(error, true)) retry(error);
    else finish(() => handlers.onError(error));
  }

  /** Goes on with a new token, where there may be one. */
  function refreshToken(): boolean {
    if (!transport.tokens.renewable || known.refreshes >= maxTokenRefreshes) return false;
    known.refreshes += 1;
    void subscribeAnew();
    return true;
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
  return {
    close: () => finish(() => {}),
    pause() {
      if (over || paused) return;
      paused = true;
      leave();
    },
    resume() {
      if (over || !paused) return;
      paused = false;
      subscribe();
    },
  };
}
