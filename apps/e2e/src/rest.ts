import { createParser } from 'eventsource-parser';
import { canPassPrism, expectAsDescribed } from './prism.ts';
import type { World } from './world.ts';

/** A request of the REST door. */
export interface RestRequest {
  /** Null sends no token. @default "alice" */
  readonly sub?: string | null;
  /** In the place of the user's own. */
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is in the place of `body`. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  /** @default the world's own server */
  readonly url?: string;
  /** True: the service takes this request, though its document does not offer it. @default false */
  readonly isUndescribed?: boolean;
  readonly signal?: AbortSignal;
}

export interface RestAnswer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed JSON; null where there is none. */
  readonly body: Body;
}

/** What a problem says, as far as tests read it. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly requestId: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly retryAfter?: number;
  readonly streamId?: string;
  readonly userMessageId?: string;
}

async function send(world: World, target: string, request: RestRequest): Promise<Response> {
  const { sub = 'alice', token, headers = {}, body, raw, signal } = request;
  const [method = 'GET', path = '/'] = target.split(' ');
  const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const url = request.url ?? (canPassPrism({ method, path, body: sent }) ? world.restUrl : world.url);
  const bearer = token ?? (sub === null ? null : await world.token(sub));
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(bearer !== null && { authorization: `Bearer ${bearer}` }),
      ...(sent !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(sent !== undefined && { body: sent }),
    ...(signal !== undefined && { signal }),
  });
  if (request.isUndescribed !== true) expectAsDescribed(target, response);
  return response;
}

/** Makes one request, such as `POST /api/chat/sessions`, and reads the whole answer. */
export async function callRest<Body = Problem>(
  world: World,
  target: string,
  request: RestRequest = {},
): Promise<RestAnswer<Body>> {
  const response = await send(world, target, request);
  const text = await response.text();
  const isJson = /^application\/(problem\+)?json$/u.test(response.headers.get('content-type') ?? '');
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (isJson && text !== '' ? JSON.parse(text) : null) as Body,
  };
}

/** A server-sent event as it came. */
export interface RestEvent<Data> {
  readonly id: string;
  /** The event's name. */
  readonly name: string;
  readonly data: Data;
}

/** A stream of the REST door that is being read. */
export interface RestStream<Data> {
  readonly status: number;
  readonly headers: Headers;
  readonly events: readonly RestEvent<Data>[];
  readonly comments: readonly string[];
  /** The last `retry:` in milliseconds. */
  readonly retry: () => number | null;
  /** Everything as it came. */
  readonly text: () => string;
  /** Resolves once `count` events are there; rejects when the stream is over before. */
  until(count: number): Promise<void>;
  /** Resolves with `ended` when the server has ended the response, `cut` when its connection broke. */
  readonly over: Promise<'ended' | 'cut'>;
  /** Leaves. */
  leave(): void;
}

/** Opens a stream and reads it as it comes. A refusal is read as one, too: it has no events. */
export async function openRestStream<Data extends object>(
  world: World,
  target: string,
  request: RestRequest = {},
): Promise<RestStream<Data>> {
  const gone = new AbortController();
  const { headers, ...rest } = request;
  const response = await send(world, target, {
    ...rest,
    // Prism would read it to its end first.
    url: rest.url ?? world.url,
    headers: { accept: 'text/event-stream', ...headers },
    signal: gone.signal,
  });
  const events: RestEvent<Data>[] = [];
  const comments: string[] = [];
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  let retry: number | null = null;
  let text = '';
  const parser = createParser({
    onEvent({ id = '', event = '', data }) {
      events.push({ id, name: event, data: JSON.parse(data) as Data });
      for (const wait of waiting) if (events.length >= wait.count) wait.resolve();
    },
    onComment: (comment) => void comments.push(comment),
    onRetry: (milliseconds) => {
      retry = milliseconds;
    },
  });
  const read = async (): Promise<'ended' | 'cut'> => {
    const decoder = new TextDecoder();
    try {
      const body: AsyncIterable<Uint8Array> | null = response.body;
      for await (const bytes of body ?? []) {
        const piece = decoder.decode(bytes, { stream: true });
        text += piece;
        parser.feed(piece);
      }
      return 'ended';
    } catch {
      return 'cut';
    }
  };
  const over = read();
  return {
    status: response.status,
    headers: response.headers,
    events,
    comments,
    retry: () => retry,
    text: () => text,
    until: (count) =>
      events.length >= count
        ? Promise.resolve()
        : Promise.race([
            new Promise<void>((resolve) => waiting.push({ count, resolve })),
            over.then((how) => {
              if (events.length < count) throw new Error(`the stream ${how} after ${events.length} events`);
            }),
          ]),
    over,
    leave: () => gone.abort(),
  };
}
