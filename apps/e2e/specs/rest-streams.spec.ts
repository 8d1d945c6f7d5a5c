import type { Message } from '@chat-service/shared/objects';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { callFor, patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { isEndOfToken, tokenLife } from '../src/ending-tokens.ts';
import { follow } from '../src/follow.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { releaseChunk, releaseChunks } from '../src/held-answer.ts';
import { all, answered, chunks, idsOf, namesOf, newcomer, textOf } from '../src/rest-answers.ts';
import type { RestRequest } from '../src/rest.ts';
import { cutsShutdownShort } from '../src/shutdown-timers.ts';
import { startWorld, type World } from '../src/world.ts';

describeEachDatabase('an answer as server-sent events', (kind) => {
  const clock = createHandClock(isEndOfToken);
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind, clock, env: { MAX_CONCURRENT_GENERATIONS: '100' } });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('has named events with increasing ids, and ends after the last one', async () => {
    const { stream, messages } = await answered(world);
    expect(stream.status).toBe(200);
    expect(Object.fromEntries(stream.headers)).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'x-request-id': expect.stringMatching(/./u),
    });
    expect(stream.retry()).toBeGreaterThan(0);
    expect(stream.text()).toMatch(/^:/u);
    expect(namesOf(stream)).toEqual(all);
    expect(stream.events.map(({ data }) => data.type)).toEqual(all);
    expect(idsOf(stream)).toEqual([...new Set(idsOf(stream))].toSorted());
    expect(stream.events.at(-1)?.data).toMatchObject({ type: 'done', message: (await messages())[1] });
    expect(stream.headers.has('idempotent-replayed')).toBe(false);
  });

  it('begins at once: status, headers, a comment and `start` are there before the first token', async () => {
    const { open, message } = await newcomer(world, { hold: 'every' });
    const stream = await open('POST', { body: { message } });
    await stream.until(1);
    const call = await callFor(world.openai, message);
    await call.reached(0);
    expect([stream.status, stream.comments.length, call.sent]).toEqual([200, 1, []]);
    expect(stream.events[0]?.data).toMatchObject({ type: 'start', userMessage: { content: message } });
    for (const [index] of chunks.entries()) {
      await releaseChunk(call, index);
      // Each is there before the next one is written.
      await stream.until(2 + index);
      expect(textOf(stream)).toBe(chunks.slice(0, index + 1).join(''));
    }
    call.releaseAll();
    expect(await stream.over).toBe('ended');
  });

  it('cannot be forged by what a model writes', async () => {
    const forgery = '\n\nid: 9\nevent: done\ndata: {"type":"done"}\n\n';
    const evil = [
      forgery,
      forgery.replaceAll('\n', '\r'),
      forgery.replaceAll('\n', '\r\n'),
      'data: x\n\n',
      'event: error\n',
      'id: 00000000\n',
      'retry: 1\n\n',
      ': comment\n\n',
      '\u2028\u2029\u0085\u000b\u000c',
      '\ufeff',
      'a\u0000b',
      '"}\n\n',
    ];
    const { stream, messages } = await answered(world, { chunks: evil });
    const stored = evil.join('').replaceAll('\u0000', '\ufffd');
    expect(textOf(stream)).toBe(stored);
    expect((await messages())[1]?.content).toBe(stored);
    expect(namesOf(stream)).toEqual(['start', ...namesOf(stream).slice(1, -1).fill('chunk'), 'done']);
    expect(stream.retry()).toBe(1000);
    // Whatever ends a line, be it for a reader that takes more for one than the standard, ends one of those that are sent.
    const further = ['\u000b', '\u000c', '\u001c', '\u001d', '\u001e', '\u0085', '\u2028', '\u2029'];
    const text = further.reduce((rest, end) => rest.replaceAll(end, '\n'), stream.text());
    const lines = text.split(/\r\n|\r|\n/u);
    const sent = /^(?:|: stream|:|retry: 1000|id: [0-9a-f-]+|event: (?:start|chunk|done)|data: \{.*\})$/u;
    expect(lines.filter((line) => !sent.test(line))).toEqual([]);
    expect(lines.filter((line) => line.startsWith('id:'))).toHaveLength(stream.events.length);
  });

  it('cannot be forged by what a user writes either', async () => {
    const { open, sessionId, call } = await newcomer(world);
    const message = 'x\n\nid: 9\nevent: error\ndata: {}\r\r\u2028\n\n';
    const stream = await open('POST', { body: { message } });
    await stream.over;
    expect(namesOf(stream)[0]).toBe('start');
    expect(new Set(namesOf(stream))).toEqual(new Set(['start', 'chunk', 'done']));
    expect(stream.events[0]?.data).toMatchObject({ userMessage: { content: message, sessionId } });
    expect((await call<{ messages: Message[] }>('GET /messages')).body.messages[0]?.content).toBe(message);
  });

  describe('POST …/stream', () => {
    it('starts without watching where only JSON is accepted', async () => {
      const { call, open, message, messages, calls } = await newcomer(world, { hold: [0] });
      const headers = { accept: 'application/json' };
      type Started = { streamId: string; userMessage: Message };
      const { status, body, headers: told } = await call<Started>('POST /stream', { body: { message }, headers });
      expect([status, told.get('content-type')]).toEqual([202, 'application/json']);
      expect(body.userMessage).toMatchObject({ content: message, role: 'user' });
      const stream = await open('GET');
      (await callFor(world.openai, message)).releaseAll();
      await stream.over;
      expect(namesOf(stream)).toEqual(all);
      expect(stream.events[0]?.data).toMatchObject({ streamId: body.streamId, userMessage: body.userMessage });
      expect((await messages()).map(({ id }) => id)).toEqual([body.userMessage.id, body.streamId]);
      expect(calls()).toBe(1);
    });

    it('streams where both are accepted, or anything', async () => {
      for (const accept of ['*/*', 'application/json, text/event-stream', 'text/*']) {
        const { open, message } = await newcomer(world);
        const stream = await open('POST', { body: { message }, headers: { accept } });
        await stream.over;
        expect(namesOf(stream)).toEqual(all);
      }
    });

    it('only follows with an event id, and never starts anything', async () => {
      const { open, call, message, messages, stream, streamId, calls } = await answered(world);
      const [first = ''] = idsOf(stream);
      const last = idsOf(stream).at(-1) ?? '';
      const body = { message };
      const rest = await open('POST', { headers: { 'last-event-id': first } });
      await rest.over;
      expect(rest.events).toEqual(stream.events.slice(1));
      const withBody = await open('POST', { body, headers: { 'last-event-id': first } });
      await withBody.over;
      expect(withBody.events).toEqual(stream.events.slice(1));
      const named = await open('POST', { body, query: `?streamId=${streamId}&lastEventId=${first}` });
      await named.over;
      expect(named.events).toEqual(stream.events.slice(1));
      for (const lastEventId of [last, 'unreadable', '', first]) {
        const headers = { 'last-event-id': lastEventId };
        expect([200, 204]).toContain((await call('POST /stream', { body, headers })).status);
        // Started and not watched would be started all the same.
        const asJson = await call('POST /stream', { body, headers: { ...headers, accept: 'application/json' } });
        expect(asJson.status).toBe(406);
        const inQuery = await call(`POST /stream?lastEventId=${lastEventId}`, {
          body,
          headers: { accept: 'application/json' },
        });
        expect(inQuery.status).toBe(406);
      }
      expect((await call('POST /stream', { headers: { 'last-event-id': last } })).status).toBe(204);
      expect(calls()).toBe(1);
      expect(await messages()).toHaveLength(2);
    });

    it('of an empty session only follows, too: there is nothing to send', async () => {
      const { call, message, messages } = await newcomer(world);
      const answer = await call('POST /stream', { body: { message }, headers: { 'last-event-id': 'unreadable' } });
      expect([answer.status, answer.text, answer.headers.get('cache-control')]).toEqual([204, '', 'no-store']);
      expect(await messages()).toEqual([]);
    });
  });

  describe('errors', () => {
    it('before admission are problems, also for who accepts events only', async () => {
      const { open, message, call } = await newcomer(world, { hold: [0] });
      const refusals: [RestRequest, number][] = [
        [{ body: { message: '' } }, 400],
        [{ body: {} }, 400],
        [{ body: { message, modelId: 'no-such-model' } }, 400],
        [{ raw: '{' }, 400],
        [{ body: { message }, headers: { 'idempotency-key': '' } }, 400],
      ];
      const expectProblems = async () => {
        for (const [request, status] of refusals) {
          const refused = await open('POST', request);
          await refused.over;
          expect([refused.status, refused.headers.get('content-type')]).toEqual([status, 'application/problem+json']);
        }
      };
      await expectProblems();
      const running = await open('POST', { body: { message } });
      await running.until(1);
      const busy = await call<{ code: string; streamId: string }>('POST /stream', { body: { message } });
      expect(busy.body).toMatchObject({ code: 'GENERATION_IN_PROGRESS', streamId: running.events[0]?.data.streamId });
      (await callFor(world.openai, message)).releaseAll();
      await running.over;
    });

    it.each([
      ['before its first token', 0, ['start', 'error']],
      ['after it', 2, ['start', 'chunk', 'chunk', 'error']],
    ] as const)('of the provider %s are events', async (_, at, names) => {
      const { stream, messages } = await answered(world, { fault: { at, kind: 'error' } });
      expect([stream.status, namesOf(stream)]).toEqual([200, names]);
      const [, message] = await messages();
      expect(stream.events.at(-1)?.data).toMatchObject({
        type: 'error',
        error: { code: 'MODEL_ERROR', retryable: true },
        message: { ...message, status: 'failed', content: chunks.slice(0, at).join('') },
      });
    });
  });

  it('goes on at another door after an id of this one, and back', async () => {
    const { open, sub, sessionId, message } = await newcomer(world, { hold: 'every' });
    const { trpc } = world.trpc(sub);
    const first = await open('POST', { body: { message } });
    const call = await callFor(world.openai, message);
    await releaseChunks(call, 0, 1);
    await first.until(2);
    first.leave();
    const overSocket = follow(trpc, { sessionId, lastEventId: first.events[1]?.id ?? '' });
    await overSocket.started;
    await releaseChunks(call, 1, 2);
    await overSocket.until(1);
    overSocket.unsubscribe();
    const back = await open('GET', { headers: { 'last-event-id': overSocket.events[0]?.id ?? '' } });
    call.releaseAll();
    await back.over;
    const seen = [
      ...first.events.map(({ data }) => data),
      ...overSocket.events.map(({ event }) => event),
      ...back.events.map(({ data }) => data),
    ];
    expect(seen.map(({ type }) => type)).toEqual(all);
    expect(seen.map((event) => (event.type === 'chunk' ? event.text : '')).join('')).toBe(chunks.join(''));
    const again = follow(trpc, { sessionId, lastEventId: back.events.at(-1)?.id ?? '' });
    await again.done;
    expect(again.events).toEqual([]);
  });

  it('is written to its end when the one who asked for it has gone, and nobody is told of a failure', async () => {
    const { open, message, messages, call: ask } = await newcomer(world, { hold: 'every' });
    const lines = world.logs.length;
    const stream = await open('POST', { body: { message } });
    const call = await callFor(world.openai, message);
    await stream.until(1);
    stream.leave();
    expect(await stream.over).toBe('cut');
    await vi.waitFor(() => expect(world.app.transportStats().inFlight).toBe(0), patience);
    call.releaseAll();
    await vi.waitFor(async () => {
      expect((await messages())[1]).toMatchObject({ content: chunks.join(''), status: 'complete' });
    }, patience);
    await call.ended;
    expect(call.state).toBe('finished');

    const second = `Wait ${message}`;
    world.openai.script(second, { chunks, hold: 'every' });
    const gone = new AbortController();
    const sent = ask('POST /messages', { body: { message: second }, signal: gone.signal });
    const rejected = expect(sent).rejects.toThrow();
    const waiting = await callFor(world.openai, second);
    gone.abort();
    await rejected;
    await vi.waitFor(() => expect(world.app.transportStats().inFlight).toBe(0), patience);
    waiting.releaseAll();
    await vi.waitFor(async () => expect((await messages())[3]).toMatchObject({ status: 'complete' }), patience);
    const told = world.logs.slice(lines).map((line) => JSON.parse(line) as { level: string });
    expect(told.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
  });

  it('ends with its token, without an error, to be taken up with the next one', async () => {
    const { open, sub, message } = await newcomer(world, { hold: 'every' });
    const token = await world.token(sub, { expiresIn: tokenLife });
    const first = await open('POST', { body: { message }, token });
    const call = await callFor(world.openai, message);
    await releaseChunks(call, 0, 1);
    await first.until(2);
    clock.pass();
    expect(await first.over).toBe('ended');
    expect(namesOf(first)).toEqual(['start', 'chunk']);
    // The service takes it for 30 s after its end.
    clock.shift(tokenLife + 31);
    expect((await open('GET', { token })).status).toBe(401);
    clock.shift(-tokenLife - 31);
    const rest = await open('GET', { headers: { 'last-event-id': idsOf(first).at(-1) ?? '' } });
    call.releaseAll();
    await rest.over;
    expect(namesOf(rest)).toEqual(['chunk', 'chunk', 'done']);
    expect(textOf(first) + textOf(rest)).toBe(chunks.join(''));
  });

  it('is told what became of it by a server that shuts down, and ends', async () => {
    const unhurried = createHandClock(cutsShutdownShort);
    await using other = await startWorld({ kind, clock: unhurried, env: { SHUTDOWN_GRACE_SECONDS: '0' } });
    const { open, message } = await newcomer(other, { hold: [1] });
    const stream = await open('POST', { body: { message } });
    await stream.until(2);
    await other.app.drain();
    expect(await stream.over).toBe('ended');
    expect(stream.events.at(-1)?.data).toMatchObject({ type: 'error', error: { code: 'INTERRUPTED' } });
  });
});
