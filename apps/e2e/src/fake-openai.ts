import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the fake's upstream does with one call. Everything has a default: a short answer, usage told, well framed. */
export interface FakePlan {
  /** The answer, a piece an event. @default ['Hello', ' from', ' the', ' fake.'] */
  readonly chunks?: readonly string[];
  /** Reasoning tokens (`reasoning_content`) sent before the answer. */
  readonly reasoning?: readonly string[];
  /** Waits before these chunks (or before each, and the end) until the test releases them; `chunks.length` is the end. */
  readonly hold?: 'every' | readonly number[];
  /** Milliseconds between chunks. @default 0: a turn of the event loop */
  readonly pace?: number;
  /** Answers with this status and an error body instead of a completion. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Body of an answer with `status`. */
  readonly errorBody?: unknown;
  /** What goes wrong before chunk `at`; `at: -1` is before the response headers. */
  readonly fault?: { readonly at: number; readonly kind: 'reset' | 'stall' | 'error' | 'end' };
  /** Null ends without one. @default 'stop' */
  readonly finishReason?: string | null;
  /** Null tells none. @default counted by chunks */
  readonly usage?: Readonly<Record<string, unknown>> | null;
  /** @default true */
  readonly doneMarker?: boolean;
  /** `bytes` writes each byte in a piece of its own, so that every character and line end is torn. @default 'lf' */
  readonly framing?: 'lf' | 'crlf' | 'bytes';
  /** Answers with one JSON object although a stream was asked for. */
  readonly json?: boolean;
  /** Sends these bytes as the body of the stream and nothing else. */
  readonly raw?: readonly (string | Uint8Array)[];
  /** For so many calls; then the plan is forgotten. @default Infinity */
  readonly times?: number;
}

export interface FakeRequestBody {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly stream?: boolean;
  readonly [field: string]: unknown;
}

/** One call as the upstream saw it. */
export interface FakeCall {
  /** Position among all calls, from 0. */
  readonly index: number;
  /** Position among all beginnings and ends of calls. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: FakeRequestBody;
  readonly lastUserMessage: string;
  readonly plan: FakePlan;
  /** Chunks handed to the network so far. */
  readonly sent: readonly string[];
  readonly state:
    | 'running'
    /** Answered as planned to the end of the response. */
    | 'finished'
    /** The client closed the connection first. */
    | 'cancelled'
    /** A planned fault ended it. */
    | 'broken';
  /** Resolves when the call is over, in whatever way. */
  readonly ended: Promise<void>;
  /** Resolves when chunk `k` is next: all before it are sent, and it waits if it is held. Rejects if the call ends first. */
  reached(k: number): Promise<void>;
  /** Lets the chunk go that is held, or the next that will be. */
  release(): void;
  /** Holds nothing any more. */
  releaseAll(): void;
}

/** The string `'default'` stands for every call that nothing else matches. */
export type FakeMatch = string | RegExp | ((body: FakeRequestBody) => boolean);

export interface FakeOpenAi extends AsyncDisposable {
  /** For `OPENAI_BASE_URL`. */
  readonly baseUrl: string;
  /** The journal, in order of arrival: the oracle of what was really asked. */
  readonly calls: readonly FakeCall[];
  /**
   * Plans calls whose last user message contains the string or matches. The newest plan that matches counts. Without any, a marker in the last user message is read: `[[fake {"chunks":["a"]}]]`.
   */
  script(match: FakeMatch, plan: FakePlan | ((call: FakeCall) => FakePlan)): void;
  /** The call with this index, once it has arrived. */
  call(index: number): Promise<FakeCall>;
}

const defaultChunks = ['Hello', ' from', ' the', ' fake.'];

/** A real HTTP server that speaks Chat Completions at `<baseUrl>/chat/completions`. */
export async function startFakeOpenAi(): Promise<FakeOpenAi> {
  const calls: CallRecord[] = [];
  const scripts: { match: FakeMatch; plan: FakePlan | ((call: FakeCall) => FakePlan); left: number }[] = [];
  const arrivals = new Map<number, (call: FakeCall) => void>();
  let clock = 0;

  function planFor(call: CallRecord): FakePlan {
    const applies = ({ match, left }: (typeof scripts)[number]) =>
      left > 0 && match !== 'default' && matches(match, call.body, call.lastUserMessage);
    const script = scripts.findLast(applies) ?? scripts.findLast(({ match, left }) => left > 0 && match === 'default');
    if (script === undefined) return readMarker(call.lastUserMessage);
    script.left -= 1;
    return typeof script.plan === 'function' ? script.plan(call) : script.plan;
  }

  const server = createServer((request, response) => {
    void (async () => {
      if (request.method !== 'POST' || !request.url?.endsWith('/chat/completions')) {
        response.writeHead(404).end();
        return;
      }
      const body = JSON.parse(await readBody(request)) as FakeRequestBody;
      const call = createCall(calls.length, request.headers, body, () => clock++);
      calls.push(call);
      call.plan = planFor(call);
      response.once('close', () =>
        call.end(call.broken ? 'broken' : response.writableFinished ? 'finished' : 'cancelled'),
      );
      arrivals.get(call.index)?.(call);
      arrivals.delete(call.index);
      await answer(call, response);
    })().catch((error: unknown) => response.destroy(error as Error));
  });
  // A stalled call must not be ended by the fake's own patience.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    calls,
    script(match, plan) {
      scripts.push({ match, plan, left: typeof plan === 'function' ? Infinity : (plan.times ?? Infinity) });
    },
    call(index) {
      const call = calls[index];
      if (call !== undefined) return Promise.resolve(call);
      return new Promise((resolve) => {
        const others = arrivals.get(index);
        arrivals.set(index, (arrived) => {
          others?.(arrived);
          resolve(arrived);
        });
      });
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

interface CallRecord extends FakeCall {
  plan: FakePlan;
  endedAt: number | null;
  sent: string[];
  state: FakeCall['state'];
  broken: boolean;
  /** Waits at chunk `k` as the plan says. */
  pass(k: number): Promise<void>;
  end(state: FakeCall['state']): void;
}

function createCall(
  index: number,
  headers: FakeCall['headers'],
  body: FakeRequestBody,
  tick: () => number,
): CallRecord {
  const { promise: ended, resolve: resolveEnded } = Promise.withResolvers<void>();
  const waiters: { k: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  let position = -1;
  let releases = 0;
  let open: (() => void) | undefined;

  const call: CallRecord = {
    index,
    startedAt: tick(),
    endedAt: null,
    headers,
    body,
    lastUserMessage: body.messages.findLast(({ role }) => role === 'user')?.content ?? '',
    plan: {},
    sent: [],
    state: 'running',
    broken: false,
    ended,
    reached(k) {
      if (position >= k) return Promise.resolve();
      if (call.state !== 'running')
        return Promise.reject(new Error(`call ${index} ended (${call.state}) before chunk ${k}`));
      return new Promise((resolve, reject) => waiters.push({ k, resolve, reject }));
    },
    release() {
      if (open === undefined) releases += 1;
      open?.();
    },
    releaseAll() {
      releases = Infinity;
      open?.();
    },
    async pass(k) {
      position = k;
      for (const waiter of waiters) if (waiter.k <= k) waiter.resolve();
      const { hold } = call.plan;
      if (hold === undefined || (hold !== 'every' && !hold.includes(k))) return;
      if (releases > 0) {
        releases -= 1;
        return;
      }
      await new Promise<void>((resolve) => {
        open = resolve;
      });
      open = undefined;
    },
    end(state) {
      if (call.state !== 'running') return;
      call.state = state;
      call.endedAt = tick();
      for (const { reject } of waiters) reject(new Error(`call ${index} ended: ${state}`));
      open?.();
      resolveEnded();
    },
  };
  return call;
}

async function answer(call: CallRecord, response: ServerResponse): Promise<void> {
  const { plan, body } = call;
  const chunks = plan.chunks ?? defaultChunks;
  const over = () => call.state !== 'running';
  /** True when the plan ends the call before chunk `k`. */
  const fails = async (k: number): Promise<boolean> => {
    if (plan.fault?.at !== k) return false;
    const { kind } = plan.fault;
    if (kind === 'stall') await call.ended;
    else if (kind === 'reset') {
      call.broken = true;
      // What has been written must have been read, or the client never sees it: a server in this process reads in its turns.
      await turn(20);
      for (let turns = 0; turns < 20; turns += 1) await turn(0);
      response.socket?.resetAndDestroy();
    } else if (kind === 'error') {
      await write(event({ error: { message: 'The fake was told to fail.', type: 'server_error', code: 'fake' } }));
      response.end();
    } else response.end();
    return true;
  };
  const event = (value: unknown) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;
  const write = async (text: string): Promise<void> => {
    if (over()) return;
    if (plan.framing === 'bytes') {
      for (const byte of Buffer.from(text.replaceAll('\n', '\r\n'))) {
        response.write(Buffer.of(byte));
        await turn(0);
      }
    } else if (!response.write(plan.framing === 'crlf' ? text.replaceAll('\n', '\r\n') : text)) {
      await Promise.race([new Promise((resolve) => response.once('drain', resolve)), call.ended]);
    }
  };

  if (await fails(-1)) return;
  if (plan.status !== undefined) {
    const error = plan.errorBody ?? { error: { message: `fake ${plan.status}`, type: 'fake_error', code: 'fake' } };
    response.writeHead(plan.status, { 'content-type': 'application/json', ...plan.headers }).end(JSON.stringify(error));
    return;
  }
  const usage = plan.usage === undefined ? countUsage(body, chunks) : plan.usage;
  const finishReason = plan.finishReason === undefined ? 'stop' : plan.finishReason;
  const frame = { id: `fake-${call.index}`, object: 'chat.completion.chunk', created: 0, model: body.model };
  if (plan.json === true || body.stream !== true) {
    const choice = { index: 0, message: { role: 'assistant', content: chunks.join('') }, finish_reason: finishReason };
    call.sent.push(...chunks);
    response.writeHead(200, { 'content-type': 'application/json', ...plan.headers });
    response.end(
      JSON.stringify({ ...frame, object: 'chat.completion', choices: [choice], ...(usage !== null && { usage }) }),
    );
    return;
  }

  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', ...plan.headers });
  response.flushHeaders();
  response.socket?.setNoDelay(true);
  if (plan.raw !== undefined) {
    for (const part of plan.raw) {
      response.write(part);
      await turn(0);
    }
    response.end();
    return;
  }
  const delta = (fields: unknown, reason: string | null = null) =>
    event({ ...frame, choices: [{ index: 0, delta: fields, finish_reason: reason }] });
  await write(delta({ role: 'assistant', content: '' }));
  for (const text of plan.reasoning ?? []) await write(delta({ reasoning_content: text }));
  for (const [k, text] of chunks.entries()) {
    await call.pass(k);
    if (over() || (await fails(k))) return;
    await write(delta({ content: text }));
    if (over()) return;
    call.sent.push(text);
    await turn(plan.pace ?? 0);
  }
  await call.pass(chunks.length);
  if (over() || (await fails(chunks.length))) return;
  if (finishReason !== null) await write(delta({}, finishReason));
  if (usage !== null) await write(event({ ...frame, choices: [], usage }));
  if (plan.doneMarker !== false) await write(event('[DONE]'));
  response.end();
}

function countUsage(body: FakeRequestBody, chunks: readonly string[]): Record<string, unknown> {
  const prompt = body.messages.reduce((sum, { content }) => sum + content.split(/\s+/).length, 0);
  return { prompt_tokens: prompt, completion_tokens: chunks.length, total_tokens: prompt + chunks.length };
}

function matches(match: FakeMatch, body: FakeRequestBody, text: string): boolean {
  if (typeof match === 'function') return match(body);
  return typeof match === 'string' ? text.includes(match) : match.test(text);
}

function readMarker(text: string): FakePlan {
  const [, json] = /\[\[fake (\{.*?\})\]\]/s.exec(text) ?? [];
  return json === undefined ? {} : (JSON.parse(json) as FakePlan);
}

function turn(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    if (milliseconds === 0) setImmediate(resolve);
    else setTimeout(resolve, milliseconds);
  });
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}
