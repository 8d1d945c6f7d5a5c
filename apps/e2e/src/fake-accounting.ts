import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { FakeBooks, type FakeEffect, type FakeHold, type FakeTotals } from './fake-accounting-books.ts';
import {
  isObject,
  operationOf,
  problemOf,
  type FakeBody,
  type FakeHeaders,
  type FakeOperation,
} from './fake-accounting-wire.ts';
import { listenOnFreePort } from './free-port.ts';

/** What is answered. A string is sent as it is; anything else as JSON. */
export interface FakeAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface FakeFault {
  /** Whether what was asked for is done all the same. */
  readonly done: boolean;
  /**
   * `reset`: the connection is destroyed. `hang`: nothing, until {@link FakeAccounting.answerHung}. `truth`: what is
   * right, which makes sense with `delayMs`.
   */
  readonly answer: 'reset' | 'hang' | 'truth' | FakeAnswer;
  /** Real milliseconds before the answer. */
  readonly delayMs?: number;
}

const html = { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>sign in</html>' };

/** The usual ones. */
export const fakeFaults = {
  /** The connection breaks before anything is done. */
  reset: { done: false, answer: 'reset' },
  /** Done, and then the connection breaks: the caller cannot know. */
  lostAnswer: { done: true, answer: 'reset' },
  hang: { done: false, answer: 'hang' },
  /** Done, and answered when the test says so. */
  lateAnswer: { done: true, answer: 'hang' },
  serverError: { done: false, answer: { status: 500, body: { error: 'the fake is out of order' } } },
  unauthorized: { done: false, answer: { status: 401, body: { error: 'unauthorized' } } },
  /** A refusal that no repeat changes. */
  refused: { done: false, answer: { status: 422, body: { error: 'unprocessable' } } },
  rateLimited: { done: false, answer: { status: 429, headers: { 'retry-after': '1' }, body: { error: 'slow down' } } },
  html: { done: false, answer: html },
  wrongJson: { done: false, answer: { status: 200, body: { hello: 'world' } } },
  /** Done for the first time, and acknowledged as though it were the second. */
  already: { done: true, answer: { status: 409, body: { error: 'already recorded' } } },
} as const satisfies Record<string, FakeFault>;

/** One request as the service saw it. */
export interface FakeRequest {
  /** Position among all requests, from 0. */
  readonly index: number;
  readonly operation: FakeOperation;
  readonly method: string;
  readonly path: string;
  readonly headers: FakeHeaders;
  /** Undefined where it is no JSON. */
  readonly body: unknown;
  /** Of the body; of the path for a balance, whose user it is. */
  readonly usageId: string | null;
  readonly userId: string | null;
  readonly fault: FakeFault | null;
  /** Null until it is answered, and for ever where the connection broke. */
  readonly answer: FakeAnswer | null;
}

export type FakeRequestMatch = 'any' | FakeOperation | ((request: FakeRequest) => boolean);

export interface FakeQuota {
  readonly quota: string;
  readonly resetsAt: Date;
}

export interface FakeAccountingOptions {
  /** Whoever does not show it gets 401. @default nobody needs one */
  readonly token?: string;
  /** For the ends of holds. @default the machine's */
  readonly now?: () => number;
  /** Millionths that a user gets who was never heard of; null: such a user has nothing, and no balance. @default 1,000 credits */
  readonly credits?: number | null;
}

/** The Accounting Service as the product sees it: real HTTP on a port of its own. The oracle of what is charged. */
export interface FakeAccounting extends AsyncDisposable {
  /** For `ACCOUNTING_URL`. */
  readonly url: string;
  /** Every request, in order of arrival. */
  readonly requests: readonly FakeRequest[];
  /** Everything that happened to accounts, in order: each of these counts. */
  readonly effects: readonly FakeEffect[];
  /** Millionths. */
  setAccount(userId: string, credits: number, plan?: string): void;
  /** Checks of the user are answered 429 until null is set. */
  setQuota(userId: string, quota: FakeQuota | null): void;
  /**
   * What goes wrong with the requests that match, so many `times`; a function decides for each, null for nothing. The
   * newest that applies counts. Returns what takes it back.
   */
  fault(
    match: FakeRequestMatch,
    fault: FakeFault | ((request: FakeRequest) => FakeFault | null),
    times?: number,
  ): () => void;
  clearFaults(): void;
  /** Answers, truthfully, what hangs. */
  answerHung(): void;
  /** Nobody listens; connections are destroyed. */
  goDown(): Promise<void>;
  comeUp(): Promise<void>;
  effectsOf(usageId: string): FakeEffect[];
  chargesOf(usageId: string): FakeEffect[];
  holdOf(usageId: string): FakeHold | null;
  openHolds(): FakeHold[];
  totals(userId: string): FakeTotals;
  requestsOf(usageId: string): FakeRequest[];
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

const millionths = 1_000_000;

export async function startFakeAccounting(options: FakeAccountingOptions = {}): Promise<FakeAccounting> {
  const { token, now = Date.now, credits = 1_000 * millionths } = options;
  const books = new FakeBooks({ now, credits });
  const quotas = new Map<string, FakeQuota>();
  const requests: Writable<FakeRequest>[] = [];
  const faults: { match: FakeRequestMatch; fault: Parameters<FakeAccounting['fault']>[1]; left: number }[] = [];
  const hung = new Set<() => void>();
  const delays = new Set<NodeJS.Timeout>();

  function faultOf(request: FakeRequest): FakeFault | null {
    for (const entry of faults.toReversed()) {
      const { match } = entry;
      const applies = typeof match === 'function' ? match(request) : match === 'any' || match === request.operation;
      if (!applies || entry.left <= 0) continue;
      const fault = typeof entry.fault === 'function' ? entry.fault(request) : entry.fault;
      if (fault === null) continue;
      entry.left -= 1;
      return fault;
    }
    return null;
  }

  /** Does what is asked for, and says so. */
  function handle({ index, operation, headers, body, userId }: FakeRequest): FakeAnswer {
    if (token !== undefined && headers.authorization !== `Bearer ${token}`) {
      return { status: 401, body: { error: 'unauthorized' } };
    }
    const problem = problemOf(operation, body, headers);
    if (problem !== null) return { status: 400, body: { error: problem } };
    if (operation === 'balance') return tellBalance(userId ?? '');
    const { usageId, holdId, credits: amount } = body as { usageId: string; holdId?: string; credits: number };
    const who = { usageId, userId: userId ?? '' };
    const known = books.holdOf(usageId);
    if (known !== null && (known.userId !== userId || (holdId !== undefined && known.holdId !== holdId))) {
      return { status: 422, body: { error: 'the hold is another one' } };
    }
    if (operation === 'check') return check(index, body as FakeBody);
    if (operation === 'release') {
      return books.release(index, who) ? { status: 204 } : { status: 404, body: { error: 'no such hold' } };
    }
    return books.record(index, { ...who, credits: Math.round(amount * millionths) })
      ? { status: 201, body: { recorded: true } }
      : { status: 409, body: { error: 'already recorded' } };
  }

  function check(index: number, body: FakeBody): FakeAnswer {
    const { usageId, userId, plan, operation, estimate, holdSeconds } = body as {
      usageId: string;
      userId: string;
      plan: string;
      operation: 'session' | 'message';
      estimate: { credits: number };
      holdSeconds: number;
    };
    const quota = quotas.get(userId);
    if (quota !== undefined) {
      return { status: 429, body: { quota: quota.quota, resetsAt: quota.resetsAt.toISOString() } };
    }
    const asked = Math.round(estimate.credits * millionths);
    const decision = books.check(index, { usageId, userId, plan, operation, credits: asked, holdSeconds });
    const remainingCredits = decision.remaining / millionths;
    if (decision.kind === 'insufficient') return { status: 200, body: { sufficient: false, remainingCredits } };
    const { holdId } = decision;
    return { status: 200, body: { sufficient: true, ...(holdId !== null && { holdId }), remainingCredits } };
  }

  function tellBalance(userId: string): FakeAnswer {
    const plan = books.planOf(userId);
    if (plan === null) return { status: 404, body: { error: 'no such user' } };
    const { available, held } = books.totals(userId);
    return { status: 200, body: { credits: available / millionths, held: held / millionths, plan, quotas: [] } };
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse) {
    const text = await readBody(incoming);
    const request = readRequest(requests.length, incoming, text);
    requests.push(request);
    const fault = faultOf(request);
    request.fault = fault;
    const send = (answer: FakeAnswer) => {
      request.answer = answer;
      write(response, answer);
    };
    const truth = fault?.done === false ? null : handle(request);
    const answer = () => {
      if (fault === null || fault.answer === 'truth') send(truth ?? handle(request));
      else if (fault.answer === 'reset') response.socket?.resetAndDestroy();
      else if (fault.answer === 'hang') hung.add(() => send(truth ?? handle(request)));
      else send(fault.answer);
    };
    if (fault?.delayMs === undefined) return answer();
    const delay = setTimeout(() => {
      delays.delete(delay);
      answer();
    }, fault.delayMs);
    delays.add(delay);
  }

  const server = createServer((incoming, response) => {
    void serve(incoming, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.requestTimeout = 0;
  // Whoever keeps a connection must not find it closed just now.
  server.keepAliveTimeout = 600_000;
  const goDown = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  const port = await listenOnFreePort(server);

  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    effects: books.effects,
    setAccount: (userId, granted, plan = 'free') => books.setAccount(userId, granted, plan),
    setQuota(userId, quota) {
      if (quota === null) quotas.delete(userId);
      else quotas.set(userId, quota);
    },
    fault(match, fault, times = Infinity) {
      const entry = { match, fault, left: times };
      faults.push(entry);
      return () => {
        entry.left = 0;
      };
    },
    clearFaults: () => void faults.splice(0),
    answerHung() {
      for (const answer of hung) answer();
      hung.clear();
    },
    goDown,
    async comeUp() {
      if (!server.listening) await once(server.listen(port, '127.0.0.1'), 'listening');
    },
    effectsOf: (usageId) => books.effects.filter((effect) => effect.usageId === usageId),
    chargesOf: (usageId) => books.chargesOf(usageId),
    holdOf: (usageId) => books.holdOf(usageId),
    openHolds: () => books.openHolds(),
    totals: (userId) => books.totals(userId),
    requestsOf: (usageId) => requests.filter((request) => request.usageId === usageId),
    async [Symbol.asyncDispose]() {
      for (const delay of delays) clearTimeout(delay);
      await goDown();
    },
  };
}

function readRequest(index: number, { method = '', url = '', headers }: IncomingMessage, text: string) {
  const operation = operationOf(method, url);
  const header = (name: string) => headers[name]?.toString();
  const body = parse(text);
  const field = (name: string) => (isObject(body) && typeof body[name] === 'string' ? body[name] : null);
  const request: Writable<FakeRequest> = {
    index,
    operation,
    method,
    path: url,
    headers: {
      authorization: header('authorization'),
      idempotencyKey: header('idempotency-key'),
      userToken: header('x-user-token'),
      contentType: header('content-type'),
    },
    body,
    usageId: field('usageId'),
    userId: operation === 'balance' ? decodeURIComponent(url.slice(url.lastIndexOf('/') + 1)) : field('userId'),
    fault: null,
    answer: null,
  };
  return request;
}

function write(response: ServerResponse, { status, headers, body }: FakeAnswer): void {
  const isText = typeof body === 'string';
  response.writeHead(status, {
    ...(!isText && body !== undefined && { 'content-type': 'application/json' }),
    ...headers,
  });
  response.end(isText || body === undefined ? body : JSON.stringify(body));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}
