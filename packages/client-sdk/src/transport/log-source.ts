/** An event together with its position in the log of its session. */
export interface Tracked<Event> {
  readonly id: string;
  readonly event: Event;
}

export interface SubscriptionListeners<Event> {
  onData(data: { id: string; data: Event }): void;
  onError(error: unknown): void;
  onComplete(): void;
  onConnectionStateChange(state: { state: string; error: unknown }): void;
}

type Subscribe<Event> = (listeners: SubscriptionListeners<Event>) => { unsubscribe(): void };

/** What is watched: part of a session's log, by a subscription that can be resumed by event id. */
export interface LogSource<Event> {
  /** Asks for what is watched, and may start it: used until the first event, and never after it. */
  readonly start?: Subscribe<Event>;
  /** Goes on after that event; undefined begins at the beginning. It starts nothing. */
  readonly follow: (lastEventId: string | undefined) => Subscribe<Event>;
  /** Goes on after this event. */
  readonly lastEventId: string | undefined;
  /** Whether the server may end the subscription before its first event, there being nothing to tell. */
  readonly mayBeEmpty: boolean;
  /** Whether nothing comes after this event. */
  isLast(event: Event): boolean;
  /** What an event means to a watcher that has seen `lastEventId`. @default it is news when its id is beyond that one */
  judge?(tracked: Tracked<Event>, lastEventId: string | undefined): Verdict;
  /** The last event that a watcher has missed when it comes back and nothing is there any more. @default it is an error */
  readonly gone?: Event;
}

export type Verdict =
  /** Passed on. */
  | 'news'
  /** Passed on, and told anew from here: ids may be lower than those that were seen. */
  | 'starts-over'
  /** Seen before. */
  | 'repeated'
  /** Not worth telling, but the server has taken this watcher back. */
  | 'back'
  /** The token has come to its end; without a new one that is the last event. */
  | 'token-ended';
