import type { Message, Model } from '@chat-service/shared/objects';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { callRest, type Problem } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

interface Recommendation {
  readonly recommended: Model;
  readonly reason: string;
  readonly estimatedCredits: number | null;
  readonly alternatives: readonly { readonly model: Model; readonly reason: string }[];
}

describeEachDatabase('a recommendation over REST', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      kind,
      models: [
        { id: 'quick', ratings: { speed: 5, quality: 1 }, creditCost: { input: 3, output: 3 } },
        { id: 'deep', ratings: { speed: 1, quality: 5 }, creditCost: { input: 9, output: 9 } },
        {
          id: 'coder',
          capabilities: ['general', 'code'],
          contextWindow: 9_000_000,
          creditCost: { input: 9, output: 9 },
        },
        { id: 'away', capabilities: ['vision'], apiKeyEnv: 'NO_SUCH_KEY' },
        { id: 'small', capabilities: ['creative'], contextWindow: 5000, maxTokens: 100 },
      ],
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const recommend = (body?: object, sub = 'alice') =>
    callRest<Recommendation & Problem>(world, 'POST /api/models/recommend', {
      sub,
      ...(body !== undefined && { body }),
    });
  const bestOf = async (body?: object) => (await recommend(body)).body.recommended.id;

  it('needs nothing to be said, and says why in words', async () => {
    const { status, body } = await recommend();
    expect([status, body.recommended.available, body.estimatedCredits]).toEqual([200, true, null]);
    expect(body.reason).toMatch(/^[A-Z].* for general, .*credits.*\.$/u);
    const ids = [body.recommended, ...body.alternatives.map(({ model }) => model)].map(({ id }) => id);
    expect(ids.toSorted()).toEqual(['backed-model', 'coder', 'deep', 'other-model', 'quick', 'test-model']);
    for (const { reason } of body.alternatives) expect(reason).toMatch(/^[A-Z].*\.$/u);
    expect((await recommend({})).body).toEqual(body);
  });

  it('is as the task, the requirements and the priority ask', async () => {
    expect(await bestOf({ priority: 'speed' })).toBe('quick');
    expect(await bestOf({ priority: 'quality' })).toBe('deep');
    expect(await bestOf({ priority: 'cost' })).toBe('other-model');
    expect(await bestOf({ task: 'code' })).toBe('coder');
    expect(await bestOf({ requirements: { minContextWindow: 5_000_000 } })).toBe('coder');
    expect(await bestOf({ requirements: { capabilities: ['code'] }, priority: 'cost' })).toBe('coder');
  });

  it('tells 404 where nothing fits, and 503 where what fits is away', async () => {
    for (const wrong of [{ task: 'analysis' }, { requirements: { minContextWindow: 1_000_000_000 } }]) {
      const { status, body } = await recommend(wrong);
      expect([status, body.code]).toEqual([404, 'NOT_FOUND']);
    }
    const away = await recommend({ task: 'vision' });
    expect([away.status, away.body.code]).toEqual([503, 'MODEL_UNAVAILABLE']);
    expect(Number(away.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await recommend({ task: 'cooking' })).body.errors?.map(({ path }) => path)).toEqual(['task']);
  });

  it("tells what a conversation's next answer costs, and leaves out what it does not fit into", async () => {
    const opened = await callRest<{ sessionId: string }>(world, 'POST /api/chat/sessions', { body: {} });
    const { sessionId } = opened.body;
    const costOf = async () => (await recommend({ sessionId, task: 'code' })).body.estimatedCredits ?? 0;
    const empty = await costOf();
    expect(empty).toBeGreaterThan(0);
    const path = `POST /api/chat/sessions/${sessionId}/messages`;
    const sent = await callRest<{ message: Message }>(world, path, { body: { message: 'word '.repeat(6000) } });
    expect(sent.status).toBe(200);
    const longer = await costOf();
    // Six thousand words at nine credits a thousand tokens; the answer was short.
    expect(longer).toBeGreaterThan(50);
    expect(longer).toBeLessThan(60);
    expect(await costOf()).toBe(longer);
    expect(longer).toBe(Math.round(longer * 1e6) / 1e6);
    expect((await recommend({ task: 'creative' })).status).toBe(200);
    expect((await recommend({ task: 'creative', sessionId })).status).toBe(404);
    expect((await recommend({ sessionId }, 'mallory')).status).toBe(404);
  });
});
