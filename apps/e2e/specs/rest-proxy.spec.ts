import type { GenerationEvent } from '@chat-service/shared/events';
import { systemClock, type Clock } from '@chat-service/server/platform/clock';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { callFor, patience } from '../src/call-for.ts';
import { releaseChunk } from '../src/held-answer.ts';
import { hasNginx, startNginx, type Nginx } from '../src/nginx.ts';
import { callRest, openRestStream } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

/** Silence after which the proxy cuts: more than a machine that has other work to do brings about by itself. */
const readTimeoutSeconds = 5;
const commentMs = 15_000;
const quickCommentMs = 250;

/** The system's, on which the 15 s between comments pass sooner. */
const clock: Clock = {
  now: systemClock.now,
  after: (milliseconds, callback) =>
    systemClock.after(milliseconds === commentMs ? quickCommentMs : milliseconds, callback),
};

const ways = ['nothing between', ...(hasNginx ? ['nginx between'] : [])] as const;
if (!hasNginx) console.warn('There is no nginx on this machine: streams are not tried behind one.');

describe.each(ways)('an answer as server-sent events, with %s', (way) => {
  let world: World;
  let nginx: Nginx | null = null;
  let url: string;
  beforeAll(async () => {
    world = await startWorld({ kind: 'sqlite', clock });
    if (way === 'nginx between') nginx = await startNginx(world.url, { readTimeoutSeconds });
    url = nginx?.url ?? world.url;
  });
  afterAll(async () => {
    await nginx?.[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  async function ask(message: string, chunks: readonly string[]) {
    world.openai.script(message, { chunks, hold: 'every' });
    const { body } = await callRest<{ sessionId: string }>(world, 'POST /api/chat/sessions', { url, body: {} });
    const stream = await openRestStream<GenerationEvent>(world, `POST /api/chat/sessions/${body.sessionId}/stream`, {
      url,
      body: { message },
    });
    return { stream, call: await callFor(world.openai, message), sessionId: body.sessionId };
  }

  it('comes token by token: each is there before the next is written', async () => {
    const chunks = ['a', 'b', 'c'];
    const { stream, call } = await ask('Bit by bit', chunks);
    expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    await stream.until(1);
    for (const [index, text] of chunks.entries()) {
      await releaseChunk(call, index);
      await stream.until(2 + index);
      expect(stream.events.at(-1)?.data).toMatchObject({ type: 'chunk', text });
    }
    call.releaseAll();
    expect(await stream.over).toBe('ended');
  });

  it('is not cut while its model is silent for longer than the proxy waits', async () => {
    const { stream, call } = await ask('Think long', ['after all']);
    // More of them than fit into the time after which a silent response is cut.
    const comments = nginx === null ? 1 : (readTimeoutSeconds * 1000) / quickCommentMs;
    await vi.waitFor(() => expect(stream.comments.length).toBeGreaterThan(comments + 1), patience);
    call.releaseAll();
    expect(await stream.over).toBe('ended');
    expect(stream.events.map(({ name }) => name)).toEqual(['start', 'chunk', 'done']);
  });

  it('tells a watcher of the session at once, too', async () => {
    const { body } = await callRest<{ sessionId: string }>(world, 'POST /api/chat/sessions', { url, body: {} });
    const path = `/api/chat/sessions/${body.sessionId}`;
    const stream = await openRestStream<{ type: string }>(world, `GET ${path}/events`, { url });
    await stream.until(2);
    await callRest(world, `PATCH ${path}`, { url, body: { title: 'New' } });
    await stream.until(3);
    expect(stream.events.map(({ name }) => name)).toEqual(['history-start', 'history-end', 'session-updated']);
    stream.leave();
    await vi.waitFor(() => expect(world.app.transportStats().inFlight).toBe(0), patience);
  });
});
