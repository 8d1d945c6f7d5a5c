import type { GenerationEvent } from '@chat-service/shared/events';

/** What a subscription has delivered, with the ids. */
export interface Received {
  readonly id: string;
  readonly event: GenerationEvent;
}

/** A subscription of the stock client, told as a list and promises. */
export interface Collected {
  readonly events: readonly Received[];
  /** Resolves when the server has taken it on. */
  readonly started: Promise<void>;
  /** Resolves when the server has ended the subscription; rejects with its error. */
  readonly done: Promise<void>;
  /** Resolves once `count` events are there. */
  until(count: number): Promise<void>;
  /** Runs `action` in the very moment in which event `count` arrives, before anything that comes after it is read. */
  at(count: number, action: () => void): void;
  unsubscribe(): void;
}

interface Subscriber {
  onStarted?(): void;
  onData(value: { id: string; data: GenerationEvent }): void;
  onError(error: unknown): void;
  onComplete(): void;
}

export function collect(subscribe: (subscriber: Subscriber) => { unsubscribe(): void }): Collected {
  const events: Received[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const actions: { count: number; action: () => void }[] = [];
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const { promise: started, resolve: onStarted } = Promise.withResolvers<void>();
  done.catch(() => undefined);
  const subscription = subscribe({
    onStarted,
    onData({ id, data }) {
      events.push({ id, event: data });
      for (const { count, action } of actions) if (events.length === count) action();
      for (const wait of waiting) if (events.length >= wait.count) wait.resolve();
    },
    onError: reject,
    onComplete: resolve,
  });
  return {
    events,
    started,
    done,
    until: (count) =>
      events.length >= count
        ? Promise.resolve()
        : Promise.race([done, new Promise<void>((resolveWait) => waiting.push({ count, resolve: resolveWait }))]),
    at: (count, action) => void actions.push({ count, action }),
    unsubscribe: () => subscription.unsubscribe(),
  };
}

/** The text that a reader of these events has, and what it was told at the end. */
export function textOf(events: readonly Received[]): string {
  let text = '';
  for (const { event } of events) {
    if (event.type === 'chunk') text += event.text;
    else if (event.type !== 'start') text = event.message.content;
  }
  return text;
}
