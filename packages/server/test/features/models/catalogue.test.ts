import { describe, expect, it } from 'vitest';
import { listModelsOutput } from '@chat-service/shared/model-api';
import { createDemoProvider } from '../../../src/clients/providers/demo/demo-provider.ts';
import { loadCatalogue } from '../../../src/features/models/catalogue.ts';
import { createListModels } from '../../../src/features/models/list-models.ts';
import { createModels } from '../../../src/features/models/models.ts';
import { createManualClock } from '../../platform/manual-clock.ts';

const entry = (id: string, changes: Record<string, unknown> = {}) => ({
  id,
  name: id.toUpperCase(),
  provider: 'openai',
  providerModel: `${id}-upstream`,
  description: 'A model.',
  capabilities: ['general', 'code'],
  creditCost: { input: 0.001, output: 0.002 },
  maxTokens: 100,
  contextWindow: 1_000,
  ratings: { speed: 3, quality: 4.5 },
  ...changes,
});

const load = (models: unknown[], rest: Record<string, unknown> = { default: 'a' }) =>
  loadCatalogue({ file: JSON.stringify({ ...rest, models }), demo: true });

function problemsOf(models: unknown[], rest?: Record<string, unknown>): readonly string[] {
  const result = load(models, rest);
  return result.ok ? [] : result.problems;
}

function catalogueOf(models: unknown[]) {
  const result = load(models);
  if (!result.ok) throw new Error(result.problems.join('\n'));
  return result.catalogue;
}

describe('the catalogue file', () => {
  it('is read, with time limits in seconds that may be given in part', () => {
    const catalogue = catalogueOf([
      entry('a', { fallback: 'b', baseUrl: 'http://127.0.0.1:11434/v1', apiKeyEnv: 'KEY', timeouts: { idle: 5 } }),
      entry('b', { fallback: 'c', provider: 'demo' }),
      entry('c'),
    ]);
    expect(catalogue.default).toBe('a');
    expect(catalogue.get('a')?.target).toEqual({
      providerModel: 'a-upstream',
      baseUrl: 'http://127.0.0.1:11434/v1',
      apiKeyEnv: 'KEY',
      timeouts: { firstToken: 60_000, idle: 5_000, total: 600_000 },
    });
    expect(catalogue.chain('a').map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(catalogue.chain('c').map(({ id }) => id)).toEqual(['c']);
    expect(catalogue.chain('constructor')).toEqual([]);
    expect(catalogue.get('x')).toBeUndefined();
  });

  it.each<[string, unknown[], Record<string, unknown> | undefined, string]>([
    ['an unknown default', [entry('a')], { default: 'z' }, 'default: unknown model "z"'],
    ['no default', [entry('a')], {}, 'default:'],
    ['no models', [], undefined, 'models: must name at least one model'],
    ['an unknown fallback', [entry('a', { fallback: 'z' })], undefined, 'model "a": unknown fallback "z"'],
    ['a model as its own fallback', [entry('a', { fallback: 'a' })], undefined, 'in a circle: a → a'],
    [
      'a circle of fallbacks',
      [entry('a', { fallback: 'b' }), entry('b', { fallback: 'c' }), entry('c', { fallback: 'b' })],
      undefined,
      'in a circle: b → c → b',
    ],
    ['an id used twice', [entry('a'), entry('a')], undefined, 'model "a": the id is used twice'],
    [
      'a negative price',
      [entry('a', { creditCost: { input: -1, output: 0 } })],
      undefined,
      'model "a" creditCost.input: must not be negative',
    ],
    [
      'a missing price',
      [entry('a', { creditCost: { input: 1 } })],
      undefined,
      'model "a" creditCost.output: is missing',
    ],
    ['no prices', [entry('a', { creditCost: undefined })], undefined, 'model "a" creditCost: is missing: the credits'],
    ['a price for both', [entry('a', { creditCost: 1 })], undefined, 'model "a" creditCost: must be an object with'],
    [
      'too fine a price',
      [entry('a', { creditCost: { input: 1e-7, output: 0 } })],
      undefined,
      'at most 6 decimal places',
    ],
    [
      'an answer larger than the window',
      [entry('a', { maxTokens: 1_001 })],
      undefined,
      'maxTokens (1001) is more than contextWindow (1000)',
    ],
    [
      'an unknown provider',
      [entry('a', { provider: 'acme' })],
      undefined,
      'unknown provider "acme": known are demo, openai',
    ],
    [
      'a rating of 6',
      [entry('a', { ratings: { speed: 6, quality: 1 } })],
      undefined,
      'model "a" ratings.speed: must be from 1 to 5',
    ],
    [
      'a rating of 0',
      [entry('a', { ratings: { speed: 1, quality: 0 } })],
      undefined,
      'model "a" ratings.quality: must be from 1 to 5',
    ],
    ['an unknown capability', [entry('a', { capabilities: ['magic'] })], undefined, 'model "a" capabilities.0'],
    ['an unknown field', [entry('a', { fallbak: 'a' })], undefined, 'model "a": unknown field "fallbak"'],
    [
      'a silence that Node would cut',
      [entry('a', { timeouts: { idle: 301 } })],
      undefined,
      'model "a" timeouts.idle: must be at most 290 seconds',
    ],
    [
      'an address of another kind',
      [entry('a', { baseUrl: 'ftp://x/' })],
      undefined,
      'model "a" baseUrl: must be an http or https address',
    ],
    [
      'a key in place of its name',
      [entry('a', { apiKeyEnv: 'sk-123' })],
      undefined,
      'model "a" apiKeyEnv: must be the name of an environment variable',
    ],
    ['a model without an id', [{ ...entry('a'), id: undefined }, entry('a')], undefined, 'models[0] id'],
  ])('tells of %s', (_name, models, rest, words) => {
    const problems = problemsOf(models, rest);
    expect(problems.filter((problem) => problem.includes(words))).toHaveLength(1);
  });

  it('tells every problem at once', () => {
    const problems = problemsOf(
      [entry('a', { provider: 'acme', fallback: 'z' }), entry('b', { maxTokens: 0, ratings: undefined })],
      { default: 'x' },
    );
    expect(problems).toHaveLength(5);
  });

  it.each(['', '{', '[]', 'null', '{"models": 3, "default": "a"}', '{"models": [3, null], "default": "a"}'])(
    'is refused as %j',
    (file) => {
      const result = loadCatalogue({ file, demo: true });
      expect(result.ok).toBe(false);
      expect(!result.ok && result.problems.length).toBeGreaterThan(0);
    },
  );
});

describe('the built-in catalogue', () => {
  it.each([
    [true, 'demo'],
    [false, 'gpt-5-mini'],
  ])('with the demo model %s has the default %s', (demo, id) => {
    const result = loadCatalogue({ file: null, demo });
    if (!result.ok) throw new Error('it must load');
    const { catalogue } = result;
    expect(catalogue.default).toBe(id);
    expect(catalogue.get('demo') !== undefined).toBe(demo);
    expect(catalogue.get(id)).toBeDefined();
  });

  it('obeys the rules of a file', () => {
    const result = loadCatalogue({ file: null, demo: true });
    if (!result.ok) throw new Error('it must load');
    const models = result.catalogue.list().map(({ target, fallback, ...shown }) => ({
      ...shown,
      providerModel: target.providerModel,
      ...(fallback !== null && { fallback }),
    }));
    expect(problemsOf(models, { default: result.catalogue.default })).toEqual([]);
  });
});

describe('listing models', () => {
  it('shows what clients may see, and why a model cannot be called', () => {
    const openai = {
      unavailableReason: () => 'Not here.',
      missingVariable: () => 'SOME_KEY',
      stream: () => ({}) as AsyncIterable<never>,
    };
    const demo = createDemoProvider({ clock: createManualClock() });
    const catalogue = catalogueOf([entry('a', { fallback: 'b' }), entry('b', { provider: 'demo' })]);
    const models = createModels({ catalogue, providers: { openai, demo } });
    const listed = createListModels(models)();
    expect(listModelsOutput.strict().parse(listed)).toEqual(listed);
    expect(listed.default).toBe('a');
    expect(listed.models[0]).toEqual({
      id: 'a',
      name: 'A',
      provider: 'openai',
      description: 'A model.',
      capabilities: ['general', 'code'],
      creditCost: { input: 0.001, output: 0.002 },
      maxTokens: 100,
      contextWindow: 1_000,
      ratings: { speed: 3, quality: 4.5 },
      available: false,
      unavailableReason: 'Not here.',
    });
    expect(listed.models[1]).toMatchObject({ id: 'b', available: true, unavailableReason: null });
    expect(models.unavailableReason('a')).toBeNull();
    expect(models.unavailableReason('nobody')).not.toBeNull();
    const withoutDemo = createModels({ catalogue, providers: { openai } });
    expect(withoutDemo.availability('b')).toContain('switched off');
    expect(withoutDemo.unavailableReason('a')).toBe('Not here.');
  });
});
