import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { refusalOf } from '../src/refusal.ts';
import { startWorld, type World } from '../src/world.ts';

const limit = 5;
const sessions = 25;

describeEachDatabase('concurrent generations of one user', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind, env: { MAX_CONCURRENT_GENERATIONS: String(limit) } });
    world.openai.script('Hold this', { hold: [0] });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  /** Sends in 25 sessions at once, over the servers in turn, while the model holds every answer. */
  async function sendEverywhere(user: string, urls: readonly string[]) {
    const { trpc } = world.trpc(user);
    const token = await world.token(user);
    const opened: string[] = [];
    while (opened.length < sessions) opened.push((await trpc.session.create.mutate({})).sessionId);
    const before = world.openai.calls.length;
    const settled: Awaited<ReturnType<typeof callOverHttp>>[] = [];
    const sends = Promise.all(
      opened.map(async (sessionId, index) => {
        const input = { sessionId, message: `Hold this for ${user}` };
        const url = urls[index % urls.length] ?? '';
        const answer = await callOverHttp(url, { type: 'mutation', path: 'message.send', input, token });
        settled.push(answer);
        return answer;
      }),
    );
    sends.catch(() => undefined);
    await vi.waitFor(() => expect(settled).toHaveLength(sessions - limit), patience);
    await world.openai.call(before + limit - 1);
    const refused = [...settled];
    const { sessions: listed } = await trpc.session.list.query({ limit: 100 });
    const calls = world.openai.calls.slice(before);
    return { trpc, token, sends, refused, listed, calls };
  }

  function expectLimitKept({ refused, listed, calls }: Awaited<ReturnType<typeof sendEverywhere>>): void {
    for (const { status, refusal, headers } of refused) {
      expect(status).toBe(429);
      expect(refusal).toMatchObject({ code: 'RATE_LIMITED', retryAfter: 1 });
      expect(headers.get('retry-after')).toBe('1');
    }
    expect(calls).toHaveLength(limit);
    expect(listed.filter(({ status }) => status === 'streaming')).toHaveLength(limit);
    expect(listed.filter(({ messageCount }) => messageCount > 0)).toHaveLength(limit);
  }

  it('are admitted up to the limit, and again as soon as one has ended', async () => {
    const held = await sendEverywhere('greedy', [world.url]);
    expectLimitKept(held);
    const free = held.listed.find(({ status }) => status === 'idle')?.id ?? '';
    const { trpc } = held;
    expect(await refusalOf(trpc.message.start.mutate({ sessionId: free, message: 'One more' }))).toMatchObject({
      code: 'RATE_LIMITED',
      httpStatus: 429,
    });
    const other = world.trpc('modest').trpc;
    const { sessionId } = await other.session.create.mutate({});
    await other.message.send.mutate({ sessionId, message: 'Another user is not concerned' });

    const busy = held.listed.find(({ status }) => status === 'streaming')?.id ?? '';
    await trpc.message.stop.mutate({ sessionId: busy });
    expect(await trpc.message.send.mutate({ sessionId: free, message: 'One more' })).toMatchObject({
      message: { status: 'complete' },
    });
    for (const call of held.calls) call.releaseAll();
    const answers = await held.sends;
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(limit);
  });

  // A SQLite file has one server.
  if (kind === 'postgres') {
    it('are counted over two processes', async () => {
      const other = await world.spawn();
      const held = await sendEverywhere('everywhere', [world.url, other.url]);
      expectLimitKept(held);
      for (const call of held.calls) call.releaseAll();
      const answers = await held.sends;
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(limit);
      await other[Symbol.asyncDispose]();
    });
  }
});
