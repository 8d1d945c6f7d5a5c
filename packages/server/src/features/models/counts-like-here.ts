import type { CatalogueModel } from './catalogue.ts';

/** OpenAI's models since GPT-4o share the vocabulary that tokens are counted with here, whoever serves them. */
const sharedVocabulary = /^(?:openai\/)?(?:gpt-4o|gpt-4\.1|gpt-5|o[134](?:-|$))/u;

/** Whether the model counts a prompt as it is counted here; for others the count is an estimate. */
export function countsLikeHere({ provider, target }: Pick<CatalogueModel, 'provider' | 'target'>): boolean {
  return provider === 'openai' && sharedVocabulary.test(target.providerModel);
}
