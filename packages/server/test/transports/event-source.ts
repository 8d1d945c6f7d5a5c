import { createParser } from 'eventsource-parser';

interface Options {
  /** Asked before each connection. */
  headers: () => Record<string, string>;
}

/** A small `EventSource`, as far as `httpSubscriptionLink` needs one: reconnects at once, with the last id it has seen. */
export class FetchEventSource {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSED = 2;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSED = 2;
  readyState = 0;
  connections = 0;
  readonly #events = new EventTarget();
  readonly #abort = new AbortController();
  #lastEventId = '';

  constructor(url: string, options: Options | undefined) {
    void this.#run(url, options);
  }

  addEventListener(type: string, listener: (event: Event) => void): void {
    this.#events.addEventListener(type, listener);
  }

  removeEventListener(type: string, listener: (event: Event) => void): void {
    this.#events.removeEventListener(type, listener);
  }

  close(): void {
    this.readyState = this.CLOSED;
    this.#abort.abort();
  }

  async #run(url: string, options: Options | undefined): Promise<void> {
    const parser = createParser({
      onEvent: ({ event, data, id }) => {
        if (id !== undefined) this.#lastEventId = id;
        if (!this.#abort.signal.aborted) {
          this.#events.dispatchEvent(new MessageEvent(event ?? 'message', { data, lastEventId: this.#lastEventId }));
        }
      },
    });
    while (!this.#abort.signal.aborted) {
      const headers = { ...options?.headers(), accept: 'text/event-stream' };
      const last = this.#lastEventId === '' ? {} : { 'last-event-id': this.#lastEventId };
      try {
        const response = await fetch(url, { headers: { ...headers, ...last }, signal: this.#abort.signal });
        if (!response.ok) this.readyState = this.CLOSED;
        else {
          this.readyState = this.OPEN;
          const decoder = new TextDecoder();
          const body: AsyncIterable<Uint8Array> | null = response.body;
          if (body !== null) for await (const chunk of body) parser.feed(decoder.decode(chunk, { stream: true }));
          this.readyState = this.CONNECTING;
        }
      } catch {
        if (!this.#abort.signal.aborted) this.readyState = this.CONNECTING;
      }
      parser.reset();
      this.#events.dispatchEvent(new Event('error'));
      if (this.readyState === this.CLOSED) return;
    }
  }
}
