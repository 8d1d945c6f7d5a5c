import { request, type IncomingMessage } from 'node:http';
import type { GenerationEvent } from '@chat-service/shared/events';
import { createParser } from 'eventsource-parser';
import superjson from 'superjson';
import type { Received } from './collect.ts';

/** A subscription over server-sent events whose reader can stop reading. */
export interface RawEventStream {
  readonly events: readonly Received[];
  readonly response: IncomingMessage;
  /** Everything as it came. */
  readonly text: () => string;
  /** Resolves when the response is over: `true` when the server has said that the subscription ended. */
  readonly over: Promise<boolean>;
  /** Stops reading from the connection, until `resume`. */
  pause(): void;
  resume(): void;
}

export interface RawEventStreamOptions {
  readonly url: string;
  readonly token: string;
  readonly path: string;
  readonly input: unknown;
  readonly lastEventId?: string;
}

export async function openRawEventStream(options: RawEventStreamOptions): Promise<RawEventStream> {
  const { url, token, path, input, lastEventId } = options;
  const search = new URLSearchParams({ input: JSON.stringify(superjson.serialize(input)) });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(`${url}/trpc/${path}?${search.toString()}`, {
      agent: false,
      headers: {
        accept: 'text/event-stream',
        authorization: `Bearer ${token}`,
        ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
      },
    })
      .once('response', resolve)
      .once('error', reject)
      .end();
  });
  const events: Received[] = [];
  let returned = false;
  let text = '';
  const parser = createParser({
    onEvent({ event, data, id }) {
      if (event === 'return') returned = true;
      if (event === undefined && id !== undefined) {
        events.push({ id, event: superjson.parse<GenerationEvent>(data) });
      }
    },
  });
  const { promise: over, resolve } = Promise.withResolvers<boolean>();
  response.setEncoding('utf8');
  response.on('data', (piece: string) => {
    text += piece;
    parser.feed(piece);
  });
  // Whoever is cut is told by an error; what had been read before it counts.
  response.on('error', () => undefined);
  response.once('close', () => resolve(returned));
  return {
    events,
    response,
    text: () => text,
    over,
    pause: () => void response.pause(),
    resume: () => void response.resume(),
  };
}
