import { createServer, type RequestListener } from 'node:http';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { createChatClient } from '../src/chat-client.ts';
import {
  ChatError,
  ConnectionError,
  InsufficientCreditsError,
  NotFoundError,
  QuotaExceededError,
  RateLimitError,
  TimeoutError,
} from '../src/errors.ts';
import { toChatError } from '../src/read-error.ts';
import { delayAfter } from '../src/transport/call.ts';
import { jitteredDelay } from '../src/transport/back-off.ts';
import { quickClient } from './toy/collect.ts';
import { sessionId } from './toy/toy-generations.ts';
import { listedSessions } from './toy/toy-router.ts';
import { startToyServer, type ToyServer } from './toy/toy-server.ts';

const busy = { code: 'UNAVAILABLE', status: 503, retryAfter: 0 };

function keysOf(server: ToyServer): string[] {
  return server.calls.map(({ input }) => (input as { idempotencyKey: string }).idempotencyKey);
}

async function serve(listener: RequestListener): Promise<AsyncDisposable & { url: string }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return {
    url: `http://127.0.0.1:${address.port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('a repeat', () => {
  it('of a create and a send carries the key of the first attempt', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    server.refusals.set('session.create', [busy, busy]);
    await chat.sessions.create();
    server.refusals.set('message.send', [busy]);
    await chat.messages.send({ sessionId, message: 'Hi' });
    const keys = keysOf(server);
    expect(keys).toHaveLength(5);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(new Set(keys.slice(3)).size).toBe(1);
    expect(new Set(keys).size).toBe(2);
  });

  it('after a lost answer makes no second session', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    server.drops.push('after', 'before');
    const { sessionId: id } = await chat.sessions.create();
    expect(id).toMatch(/^[0-9a-f-]{36}$/u);
    expect(new Set(keysOf(server)).size).toBe(1);
    expect(server.calls).toHaveLength(2);
  });

  it('uses the key that the caller gives', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    await chat.sessions.create({ idempotencyKey: 'mine' });
    await chat.messages.send({ sessionId, message: 'Hi', idempotencyKey: 'mine too' });
    expect(keysOf(server)).toEqual(['mine', 'mine too']);
  });

  it('is not made of an update, nor of a stop without an id, whose first attempt may have been carried out', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    server.drops.push('before');
    await expect(chat.sessions.update({ sessionId, title: 'x' })).rejects.toBeInstanceOf(ConnectionError);
    server.refusals.set('message.stop', [busy]);
    await expect(chat.messages.stop({ sessionId })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(server.calls.map(({ call }) => call)).toEqual(['http message.stop']);
  });

  it('is made of anything that was over the rate limit, but not when the pause is long', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    server.refusals.set('session.update', [{ code: 'RATE_LIMITED', status: 429, retryAfter: 0 }]);
    await chat.sessions.update({ sessionId, title: 'x' });
    expect(server.calls).toHaveLength(2);
    server.refusals.set('session.update', [{ code: 'RATE_LIMITED', status: 429, retryAfter: 31 }]);
    const error = await chat.sessions.update({ sessionId, title: 'x' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error).toMatchObject({ retryAfter: 31 });
    expect(server.calls).toHaveLength(3);
  });

  it.each([
    'INSUFFICIENT_CREDITS',
    'QUOTA_EXCEEDED',
    'INTERNAL',
    'NOT_FOUND',
    'MODEL_ERROR',
    'MODEL_UNAVAILABLE',
    'A_NEW_CODE',
  ])('is not made after %s', async (code) => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    server.refusals.set('message.send', [{ code, status: 418, retryAfter: 0 }]);
    await expect(chat.messages.send({ sessionId, message: 'Hi' })).rejects.toMatchObject({ code });
    expect(server.calls).toHaveLength(1);
  });

  it.each(['RATE_LIMITED', 'UNAVAILABLE', 'SHUTTING_DOWN', 'AUTH_UNAVAILABLE', 'ACCOUNTING_UNAVAILABLE'])(
    'is made after %s, under the same key',
    async (code) => {
      await using server = await startToyServer();
      await using chat = quickClient(server);
      server.refusals.set('message.send', [{ code, status: 418, retryAfter: 0 }]);
      await chat.messages.send({ sessionId, message: 'Hi' });
      const [first, second, ...further] = keysOf(server);
      expect(second).toBe(first);
      expect(further).toEqual([]);
      expect(server.generations.all).toHaveLength(1);
    },
  );

  it('comes after what the server asks for and a pause of its own, which is never the same twice', () => {
    const limited = new RateLimitError('', { code: 'RATE_LIMITED', retryAfter: 3 });
    expect([0, 1].map((attempt) => delayAfter(limited, attempt, (count) => 10 + count))).toEqual([3_010, 3_011]);
    const pauses = Array.from({ length: 50 }, () => delayAfter(limited, 0, jitteredDelay));
    expect(Math.min(...pauses)).toBeGreaterThan(3_000);
    expect(new Set(pauses).size).toBeGreaterThan(1);
  });

  it('is made at most as often as it may be', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server, { maxRetries: 3 });
    server.refusals.set(
      'system.version',
      Array.from({ length: 9 }, () => busy),
    );
    await expect(chat.system.version()).rejects.toMatchObject({ code: 'UNAVAILABLE', status: 503 });
    expect(server.calls).toHaveLength(4);
    await expect(chat.system.version({ maxRetries: 0 })).rejects.toBeInstanceOf(ChatError);
    expect(server.calls).toHaveLength(5);
  });

  it('of a delete whose answer was lost finds nothing and is done', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const { sessionId: id } = await chat.sessions.create();
    server.drops.push('after');
    await chat.sessions.delete({ sessionId: id });
    expect(server.calls.filter(({ call }) => call === 'http session.delete')).toHaveLength(2);
    await expect(chat.sessions.delete({ sessionId: id })).rejects.toBeInstanceOf(NotFoundError);
  });
});

describe('a call', () => {
  it('ends with its time-out, and with its signal', async () => {
    await using silent = await serve(() => {});
    await using chat = createChatClient({ url: silent.url, token: 'good' });
    await expect(chat.system.version({ timeoutMs: 20 })).rejects.toBeInstanceOf(TimeoutError);
    const controller = new AbortController();
    const waiting = chat.system.version({ signal: controller.signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(chat.system.version({ signal: controller.signal })).rejects.toBe(reason);
  });

  it('ends while it pauses before a repeat', async () => {
    await using server = await startToyServer();
    const controller = new AbortController();
    const reason = new Error('enough');
    await using chat = quickClient(server, {
      retryDelayMs: () => {
        setImmediate(() => controller.abort(reason));
        return 20_000;
      },
    });
    server.refusals.set('system.version', [busy]);
    await expect(chat.system.version({ signal: controller.signal })).rejects.toBe(reason);
    expect(server.calls).toHaveLength(1);
  });

  it('begins no pause that would outlast its time-out, and tells what went wrong instead', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    server.refusals.set('system.version', [{ code: 'RATE_LIMITED', status: 429, retryAfter: 20 }]);
    const error = await chat.system.version({ timeoutMs: 19_000 }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'RateLimitError', retryAfter: 20 });
    expect(server.calls).toHaveLength(1);
  });

  it('that credits or a quota do not cover says so by its class, and a quota is no rate limit', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const resetsAt = '2026-01-02T00:00:00.000Z';
    const send = () => chat.messages.send({ sessionId, message: 'Hi' }).catch((reason: unknown) => reason);
    server.refusals.set('message.send', [
      { code: 'INSUFFICIENT_CREDITS', status: 402 },
      { code: 'QUOTA_EXCEEDED', status: 429, quota: 'messages', resetsAt, retryAfter: 40_000 },
    ]);
    expect(await send()).toBeInstanceOf(InsufficientCreditsError);
    const error = await send();
    expect(error).toBeInstanceOf(QuotaExceededError);
    expect(error).not.toBeInstanceOf(RateLimitError);
    expect(error).toMatchObject({ status: 429, quota: 'messages', resetsAt, retryAfter: 40_000 });
  });

  it("that a proxy answers is a ConnectionError with the proxy's status", async () => {
    let requests = 0;
    await using proxy = await serve((_req, res) => {
      requests += 1;
      res.writeHead(502, { 'content-type': 'text/html', 'retry-after': '0' }).end('<h1>Bad Gateway</h1>');
    });
    await using chat = createChatClient({ url: proxy.url, token: 'good', retryDelayMs: () => 1 });
    const error = await chat.system.version().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ status: 502, retryAfter: 0 });
    expect(requests).toBe(3);
  });

  it.each([
    [403, 1],
    [408, 3],
    [429, 3],
    [503, 3],
  ])('that a proxy answers with %i is made %i times', async (status, times) => {
    let requests = 0;
    await using proxy = await serve((_req, res) => {
      requests += 1;
      res.writeHead(status, { 'content-type': 'text/html' }).end('<h1>No</h1>');
    });
    await using chat = createChatClient({ url: proxy.url, token: 'good', retryDelayMs: () => 1 });
    await expect(chat.system.version()).rejects.toMatchObject({ name: 'ConnectionError', status });
    expect(requests).toBe(times);
  });

  it('keeps the code of an error that this version does not know', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    server.refusals.set('system.version', [{ code: 'A_NEW_CODE', status: 409 }]);
    const error = await chat.system.version().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'ChatError', code: 'A_NEW_CODE', status: 409, requestId: 'r-1' });
    server.refusals.set('system.version', [{ code: 'GENERATION_IN_PROGRESS', status: 409, streamId: 's' }]);
    const raw = await chat.trpc.system.version.query().catch((reason: unknown) => reason);
    expect(toChatError(raw)).toMatchObject({ name: 'GenerationInProgressError', streamId: 's' });
  });

  it('tells what the account has left', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    server.refusals.set('account.usage', [busy]);
    const { credits, quotas, rateLimit } = await chat.account.usage();
    expect({ credits, messages: quotas[0], remaining: rateLimit.remaining }).toMatchObject({
      credits: 12.5,
      messages: { name: 'messages', used: 3, limit: 5 },
      remaining: 99,
    });
  });

  it('is one of at most 20 in a batch', async () => {
    await using server = await startToyServer();
    const sizes: number[] = [];
    await using chat = quickClient(server, {
      fetch: (url, init) => {
        sizes.push(new URL(url instanceof Request ? url.url : url).pathname.split(',').length);
        return fetch(url, init);
      },
    });
    await Promise.all(Array.from({ length: 45 }, () => chat.system.version()));
    expect(sizes).toEqual([20, 20, 5]);
  });
});

describe('a list', () => {
  it('iterates over all pages by cursor', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const ids: string[] = [];
    for await (const { id } of chat.sessions.list({ limit: 3 })) ids.push(id);
    expect(ids).toEqual(Array.from({ length: listedSessions }, (_, index) => `s${index}`));
    expect(server.calls).toHaveLength(3);
  });

  it('gives one page, and asks for nothing before it is read', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const list = chat.sessions.list({ page: 1, limit: 2 });
    expect(server.calls).toEqual([]);
    const { items, pagination } = await list.page();
    expect(items.map(({ id }) => id)).toEqual(['s0', 's1']);
    expect(pagination).toMatchObject({ hasMore: true, nextCursor: '2' });
    const sizes: number[] = [];
    for await (const page of list.pages()) {
      sizes.push(page.items.length);
      if (sizes.length === 2) break;
    }
    expect(server.calls.at(-1)?.input).toEqual({ limit: 2, cursor: '2' });
    expect(server.calls).toHaveLength(3);
  });
});
