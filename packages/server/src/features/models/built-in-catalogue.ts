import type { CatalogueFile, CatalogueFileModel } from './catalogue-file.ts';

const demo: CatalogueFileModel = {
  id: 'demo',
  name: 'Demo',
  provider: 'demo',
  providerModel: 'demo',
  description: 'Built in, needs no key and knows nothing: shows how the service behaves.',
  capabilities: ['general'],
  creditCost: { input: 0.01, output: 0.03 },
  maxTokens: 4_096,
  contextWindow: 262_144,
  ratings: { speed: 3, quality: 1 },
};

const openAi: CatalogueFileModel[] = [
  {
    id: 'gpt-5-mini',
    name: 'GPT-5 mini',
    provider: 'openai',
    providerModel: 'gpt-5-mini',
    description: 'Fast and inexpensive, for everyday questions.',
    capabilities: ['general', 'code', 'creative', 'analysis', 'vision', 'tools', 'reasoning'],
    creditCost: { input: 0.025, output: 0.2 },
    maxTokens: 128_000,
    contextWindow: 400_000,
    ratings: { speed: 4, quality: 4 },
    fallback: 'gpt-4.1-mini',
  },
  {
    id: 'gpt-5',
    name: 'GPT-5',
    provider: 'openai',
    providerModel: 'gpt-5',
    description: 'For hard questions that are worth the wait.',
    capabilities: ['general', 'code', 'creative', 'analysis', 'vision', 'tools', 'reasoning'],
    creditCost: { input: 0.125, output: 1 },
    maxTokens: 128_000,
    contextWindow: 400_000,
    ratings: { speed: 2, quality: 5 },
    fallback: 'gpt-5-mini',
  },
  {
    id: 'gpt-4.1-mini',
    name: 'GPT-4.1 mini',
    provider: 'openai',
    providerModel: 'gpt-4.1-mini',
    description: 'Answers at once, without thinking first.',
    capabilities: ['general', 'code', 'creative', 'vision', 'tools'],
    creditCost: { input: 0.04, output: 0.16 },
    maxTokens: 32_768,
    contextWindow: 1_000_000,
    ratings: { speed: 5, quality: 3 },
  },
];

/** The default does not depend on which keys happen to be set: sessions keep the model they were made with. */
export function builtInCatalogue(withDemo: boolean): CatalogueFile {
  return withDemo ? { default: 'demo', models: [demo, ...openAi] } : { default: 'gpt-5-mini', models: openAi };
}
