import { describe, expect, it } from 'vitest';
import { loadCatalogue, type CatalogueModel } from '../../../src/features/models/catalogue.ts';
import { createModels } from '../../../src/features/models/models.ts';
import { createStreamCompletion, type CompletionEvent } from '../../../src/features/models/stream-completion.ts';
import { createProviderWorld } from '../../clients/providers/provider-world.ts';

const entry = (id: string, fallback?: string, changes: Record<string, unknown> = {}) => ({
  id,
  name: id,
  provider: 'openai',
  providerModel: `${id}-upstream`,
  description: '',
  capabilities: [],
  creditCost: { input: 1, output: 1 },
  maxTokens: 100,
  contextWindow: 1_000,
  ratings: { speed: 1, quality: 1 },
  ...(fallback !== undefined && { fallback }),
  ...changes,
});

async function createWorld(last: Record<string, unknown> = {}) {
  const world = await createProviderWorld();
  const file = JSON.stringify({
    default: 'a',
    models: [entry('a', 'b'), entry('b', 'c'), entry('c', undefined, last)],
  });
  const result = loadCatalogue({ file, demo: false });
  if (!result.ok) throw new Error(result.problems.join('\n'));
  const models = createModels({ catalogue: result.catalogue, providers: { openai: world.provider } });
  const streamCompletion = createStreamCompletion(models);

  async function run(
    prepare: (model: CatalogueModel) => { messages: []; maxTokens: number } | null = () => ({
      messages: [],
      maxTokens: 9,
    }),
    signal = new AbortController().signal,
  ) {
    const events: CompletionEvent[] = [];
    const withMessage = (model: CatalogueModel) => {
      const prompt = prepare(model);
      return prompt === null ? null : { ...prompt, messages: [{ role: 'user' as const, content: 'Hi' }] };
    };
    let error: unknown = null;
    try {
      const request = { modelId: 'a', prepare: withMessage, parameters: {}, generationId: 'g' };
      for await (const event of streamCompletion(request, signal)) events.push(event);
    } catch (thrown) {
      error = thrown;
    }
    return { events, error, types: events.map(({ type }) => type) };
  }
  const fails = (model: string, plan: object) => world.fake.script((body) => body.model === `${model}-upstream`, plan);
  return { ...world, models, run, fails };
}

describe('a completion', () => {
  it('is served by the model asked for', async () => {
    const { run, fake } = await createWorld();
    const { events, types, error } = await run();
    expect(error).toBeNull();
    expect(types).toEqual(['serving', 'text', 'text', 'text', 'text', 'usage', 'finish']);
    expect(events[0]).toEqual({ type: 'serving', modelId: 'a' });
    expect(fake.calls).toHaveLength(1);
  });

  it('goes down the chain while nothing has come, each model with its own prompt and limit', async () => {
    const { run, fake, fails } = await createWorld();
    fails('a', { status: 401 });
    fails('b', { finishReason: null, chunks: [] });
    const limits = new Map([
      ['a', 3],
      ['b', 2],
      ['c', 1],
    ]);
    const { events, error } = await run(({ id }) => ({ messages: [], maxTokens: limits.get(id) ?? 0 }));
    expect(error).toBeNull();
    expect(events[0]).toEqual({ type: 'serving', modelId: 'c' });
    expect(fake.calls.map(({ body }) => [body.model, body['max_tokens']])).toEqual([
      ['a-upstream', 3],
      ['b-upstream', 2],
      ['c-upstream', 1],
    ]);
  });

  it('leaves out models for which nothing is prepared', async () => {
    const { run, fake, fails } = await createWorld();
    fails('a', { status: 401 });
    const { events } = await run(({ id }) => (id === 'b' ? null : { messages: [], maxTokens: 1 }));
    expect(events[0]).toEqual({ type: 'serving', modelId: 'c' });
    expect(fake.calls).toHaveLength(2);
  });

  it('stays with the model whose text has begun', async () => {
    const { run, fake, fails } = await createWorld();
    fails('a', { fault: { at: 1, kind: 'error' } });
    const { types, error } = await run();
    expect(types).toEqual(['serving', 'text']);
    expect(error).toMatchObject({ code: 'MODEL_ERROR' });
    expect(fake.calls).toHaveLength(1);
  });

  it('reports the last failure', async () => {
    const { run, fails, clock, fake } = await createWorld();
    fails('a', { status: 401 });
    fails('b', { status: 403 });
    fails('c', { fault: { at: 0, kind: 'stall' } });
    const outcome = run();
    await (await fake.call(2)).reached(0);
    await clock.advance(60_000);
    expect(await outcome).toMatchObject({ types: [], error: { code: 'MODEL_TIMEOUT' } });
  });

  it('reports how a model failed rather than that its fallback has no key', async () => {
    const { run, fails } = await createWorld({ apiKeyEnv: 'NOT_SET' });
    fails('a', { status: 401 });
    fails('b', { status: 401 });
    expect((await run()).error).toMatchObject({ code: 'MODEL_ERROR' });
  });

  it('is MODEL_UNAVAILABLE where no model can be called', async () => {
    const { run, fake } = await createWorld();
    expect((await run(() => null)).error).toMatchObject({ code: 'MODEL_UNAVAILABLE' });
    expect(fake.calls).toHaveLength(0);
  });

  it('does not go on to a fallback when it is stopped', async () => {
    const { run, fake, fails } = await createWorld();
    fails('a', { fault: { at: 0, kind: 'stall' } });
    const stop = new AbortController();
    const reason = new Error('stopped');
    const outcome = run(undefined, stop.signal);
    await (await fake.call(0)).reached(0);
    stop.abort(reason);
    expect((await outcome).error).toBe(reason);
    expect(fake.calls).toHaveLength(1);
  });
});
