import { createParser } from 'eventsource-parser';
import { createConnectionList, type ConnectionList, type RecordedConnection } from './connection-list.ts';

/** A response that an event source has read, or reads. */
export interface RecordedEventStream extends RecordedConnection {
  /** The header with which it asked to go on; null on a first connection. */
  readonly lastEventId: string | null;
  readonly status: Promise<number>;
}

interface EventSourceOptions {
  /** Asked before each connection. */
  readonly headers: () => Promise<Record<string, string>>;
}

/** As far as `httpSubscriptionLink` uses one. */
interface EventSourceConstructor {
  new (
    url: string,
    options?: EventSourceOptions,
  ): {
    readonly CLOSED: number;
    readonly CONNECTING: number;
    readonly OPEN: number;
    readyState: number;
    addEventListener(type: string, listener: (event: Event) => void): void;
    removeEventListener(type: string, listener: (event: Event) => void): void;
    close(): void;
  };
}

export interface CuttableEventSources extends ConnectionList<RecordedEventStream> {
  readonly EventSource: EventSourceConstructor;
  /** Cuts the current connection; its event source reconnects by itself, as a browser's does. */
  cut(): void;
}

const reconnectMs = 5;

/** Event sources on `fetch` that reconnect soon, whatever pause the server asks for. */
export function createCuttableEventSources(): CuttableEventSources {
  const list = createConnectionList<RecordedEventStream>();
  let cutCurrent = () => {};

  class CuttableEventSource extends EventTarget {
    readonly CONNECTING = 0;
    readonly OPEN = 1;
    readonly CLOSED = 2;
    readyState = 0;
    #lastEventId: string | null = null;
    #connection = new AbortController();
    #ended = false;

    constructor(url: string, options?: EventSourceOptions) {
      super();
      void this.#run(url, options);
    }

    close(): void {
      this.#ended = true;
      this.readyState = this.CLOSED;
      this.#connection.abort();
    }

    async #run(url: string, options: EventSourceOptions | undefined): Promise<void> {
      while (this.readyState !== this.CLOSED) {
        this.readyState = this.CONNECTING;
        this.#connection = new AbortController();
        cutCurrent = () => this.#connection.abort();
        try {
          await this.#read(url, await options?.headers(), this.#connection.signal);
        } catch {
          // A network that fails is a reason to try again; only an answer that is no stream ends it.
          await new Promise((resolve) => setTimeout(resolve, reconnectMs));
        }
        // Whoever closed it is not told.
        if (!this.#ended) this.dispatchEvent(new Event('error'));
      }
    }

    async #read(url: string, headers: Record<string, string> | undefined, signal: AbortSignal): Promise<void> {
      const opened = Promise.withResolvers<void>();
      const subscribed = Promise.withResolvers<void>();
      const status = Promise.withResolvers<number>();
      const lastEventId = this.#lastEventId;
      list.add({
        lastEventId,
        opened: opened.promise,
        requested: opened.promise,
        subscribed: subscribed.promise,
        status: status.promise,
      });
      const resume = lastEventId === null ? {} : { 'last-event-id': lastEventId };
      const response = await fetch(url, { headers: { accept: 'text/event-stream', ...headers, ...resume }, signal });
      status.resolve(response.status);
      opened.resolve();
      if (response.status === 204 || !response.ok || response.body === null) {
        this.readyState = this.CLOSED;
        return;
      }
      this.readyState = this.OPEN;
      const parser = createParser({
        onEvent: ({ event = 'message', data, id }) => {
          if (signal.aborted) return;
          if (id !== undefined) this.#lastEventId = id;
          if (event === 'connected') subscribed.resolve();
          this.dispatchEvent(new MessageEvent(event, { data, lastEventId: this.#lastEventId ?? '' }));
        },
      });
      const decoder = new TextDecoder();
      const body: AsyncIterable<Uint8Array> = response.body;
      for await (const bytes of body) parser.feed(decoder.decode(bytes, { stream: true }));
    }
  }

  return { ...list, EventSource: CuttableEventSource, cut: () => cutCurrent() };
}
