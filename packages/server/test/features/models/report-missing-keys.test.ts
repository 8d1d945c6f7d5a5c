import { describe, expect, it } from 'vitest';
import { createDemoProvider } from '../../../src/clients/providers/demo/demo-provider.ts';
import { createOpenAiProvider } from '../../../src/clients/providers/openai/openai-provider.ts';
import { loadCatalogue } from '../../../src/features/models/catalogue.ts';
import { createModels } from '../../../src/features/models/models.ts';
import { reportMissingKeys } from '../../../src/features/models/report-missing-keys.ts';
import { createRecordingLogger } from '../../clients/providers/provider-world.ts';
import { createManualClock } from '../../platform/manual-clock.ts';

const openAi = (id: string, more: object = {}) => ({
  id,
  name: id,
  provider: 'openai',
  providerModel: id,
  description: 'A model.',
  capabilities: ['general'],
  creditCost: { input: 1, output: 1 },
  maxTokens: 100,
  contextWindow: 1_000,
  ratings: { speed: 3, quality: 3 },
  ...more,
});
const unset = { apiKeyEnv: 'UNSET_KEY' };
const set = { apiKeyEnv: 'SET_KEY' };
const demo = { provider: 'demo' };

/** What is logged at start of these models; the first is the default one. */
function logged(models: readonly { readonly id: string }[], { apiKey }: { apiKey?: string } = {}) {
  const file = models.length === 0 ? null : JSON.stringify({ default: models[0]?.id, models });
  const loaded = loadCatalogue({ file, demo: true });
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  const { logger, lines } = createRecordingLogger();
  const clock = createManualClock();
  const lookUp = (name: string) => ({ SET_KEY: 'sk-secret', UNSET_KEY: ' ' })[name];
  const openai = createOpenAiProvider({ apiKey, lookUp, clock, logger });
  reportMissingKeys(createModels({ ...loaded, providers: { openai, demo: createDemoProvider({ clock }) } }), logger);
  expect(lines.join('')).not.toContain('sk-secret');
  return lines.map((line) => {
    const { level, variable, models: of } = JSON.parse(line) as { level: number; variable: unknown; models: unknown };
    return [level, variable, of];
  });
}

const [info, warn] = [30, 40];

describe('the keys that are missing at start', () => {
  it('are told by the name of their variable, each once, with the models that it takes away', () => {
    const models = [openAi('a', demo), openAi('b', unset), openAi('c', set), openAi('d'), openAi('e', unset)];
    expect(logged(models)).toEqual([
      [info, 'UNSET_KEY', ['b', 'e']],
      [info, 'OPENAI_API_KEY', ['d']],
    ]);
    expect(logged(models, { apiKey: 'sk-secret' })).toEqual([[info, 'UNSET_KEY', ['b', 'e']]]);
  });

  it('are none where no model needs any', () => {
    expect(logged([openAi('a', set), openAi('b', demo), openAi('c', { baseUrl: 'http://127.0.0.1:9' })])).toEqual([]);
  });

  it('are a warning where nobody answers for the default model', () => {
    expect(logged([openAi('a', unset), openAi('b', set)])).toEqual([[warn, 'UNSET_KEY', ['a']]]);
    expect(logged([openAi('a', { ...unset, fallback: 'b' }), openAi('b', set)])).toEqual([[info, 'UNSET_KEY', ['a']]]);
  });

  it('of the built-in catalogue are those of its models of OpenAI', () => {
    const [line, ...others] = logged([]);
    expect(others).toEqual([]);
    expect(line).toEqual([info, 'OPENAI_API_KEY', expect.arrayContaining(['gpt-5-mini'])]);
    expect(line?.[2]).not.toContain('demo');
  });
});
