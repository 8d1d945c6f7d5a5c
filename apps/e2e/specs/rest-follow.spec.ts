import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { callFor, patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { releaseChunks } from '../src/held-answer.ts';
import { answered, chunks, idsOf, namesOf, newcomer, textOf } from '../src/rest-answers.ts';
import type { RestRequest } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

describeEachDatabase('GET …/stream', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind, env: { MAX_CONCURRENT_GENERATIONS: '100' } });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('follows a running answer from its start', async () => {
    const { open, message } = await newcomer(world, { hold: 'every' });
    const first = await open('POST', { body: { message } });
    const call = await callFor(world.openai, message);
    await releaseChunks(call, 0, 2);
    const joined = await open('GET');
    await joined.until(3);
    expect(namesOf(joined)).toEqual(['start', 'chunk', 'chunk']);
    call.releaseAll();
    await Promise.all([first.over, joined.over]);
    expect(joined.events).toEqual(first.events);
  });

  it('tells one that has ended again, and what comes after each of its ids', async () => {
    const { open, call, stream, streamId } = await answered(world);
    for (const query of ['', `?streamId=${streamId}`, `?streamId=${streamId}&unknown=1`]) {
      const again = await open('GET', { query });
      await again.over;
      expect(again.events).toEqual(stream.events);
    }
    for (const [index, id] of idsOf(stream).entries()) {
      const ways: RestRequest[] = [
        { headers: { 'last-event-id': id } },
        { query: `?lastEventId=${id}` } as RestRequest,
      ];
      for (const way of [...ways, { ...ways[0], query: '?lastEventId=unreadable' } as RestRequest]) {
        if (index === stream.events.length - 1) {
          const query = 'query' in way ? String(way.query) : '';
          const answer = await call(`GET /stream${query}`, way);
          expect([answer.status, answer.text]).toEqual([204, '']);
          continue;
        }
        const rest = await open('GET', way);
        await rest.over;
        expect(rest.events).toEqual(stream.events.slice(index + 1));
      }
    }
  });

  it('is 204 where nothing runs and nothing ran, and 404 for what does not exist', async () => {
    const { call } = await newcomer(world);
    expect((await call('GET /stream')).status).toBe(204);
    expect((await call('GET /stream', { headers: { 'last-event-id': 'unreadable' } })).status).toBe(204);
    const unknown = '01890a5d-ac96-774b-bcce-b302099a8057';
    const answer = await call<{ code: string }>(`GET /stream?streamId=${unknown}`);
    expect([answer.status, answer.body.code]).toEqual([404, 'NOT_FOUND']);
    const other = await answered(world);
    expect((await call(`GET /stream?streamId=${other.streamId}`)).status).toBe(404);
  });

  it('starts over with a resync for an id that is unreadable or of another session', async () => {
    const { open, messages, stream } = await answered(world);
    const other = await answered(world);
    for (const id of ['unreadable', 'x'.repeat(5000), '0', 'é', other.stream.events[1]?.id ?? '']) {
      const again = await open('GET', { query: `?lastEventId=${encodeURIComponent(id)}` });
      await again.over;
      expect(again.events.at(-1)).toEqual(stream.events.at(-1));
      const [, message] = await messages();
      expect(again.events[0]?.data).toMatchObject({ type: 'resync', message: { content: message?.content } });
      expect(again.events.map(({ name }) => name).filter((name) => name === 'start')).toEqual([]);
    }
  });

  it('of a running answer goes on after a resync', async () => {
    const { open, message } = await newcomer(world, { hold: 'every' });
    const first = await open('POST', { body: { message } });
    const call = await callFor(world.openai, message);
    await releaseChunks(call, 0, 2);
    await first.until(3);
    const again = await open('GET', { headers: { 'last-event-id': 'unreadable' } });
    await vi.waitFor(() => expect(namesOf(again)).toContain('resync'), patience);
    call.releaseAll();
    await Promise.all([first.over, again.over]);
    let text = '';
    for (const { data } of again.events) {
      if (data.type === 'chunk') text += data.text;
      else if (data.type === 'resync') text = data.message.content;
    }
    expect(text).toBe(chunks.join(''));
    expect(again.events.at(-1)).toEqual(first.events.at(-1));
  });
});

describeEachDatabase('an answer whose buffer time is over', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind, env: { STREAM_BUFFER_SECONDS: '0' } });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('is rebuilt for who names it or an id of it, and 204 for who does not', async () => {
    const { open, call, stream, streamId, messages } = await answered(world);
    const [first, , third] = idsOf(stream);
    const last = stream.events.at(-1);
    await vi.waitFor(async () => expect((await call('GET /stream')).status).toBe(204), patience);
    const whole = await open('GET', { query: `?streamId=${streamId}` });
    await whole.over;
    expect(namesOf(whole)).toEqual(['start', 'chunk', 'done']);
    expect([textOf(whole), whole.events.at(-1)]).toEqual([chunks.join(''), last]);
    const [, message] = await messages();
    for (const lastEventId of [first ?? '', third ?? '']) {
      const rest = await open('GET', { headers: { 'last-event-id': lastEventId } });
      await rest.over;
      expect(rest.events.at(-1)).toEqual(last);
      expect(rest.events.at(-1)?.data).toMatchObject({ message });
      expect(idsOf(rest)).toEqual([...new Set(idsOf(rest))].toSorted());
    }
    expect((await call('GET /stream', { headers: { 'last-event-id': last?.id ?? '' } })).status).toBe(204);
    expect((await call('GET /stream', { headers: { 'last-event-id': 'unreadable' } })).status).toBe(204);
  });
});
