import type { Parameters } from '@chat-service/shared/objects';
import { ProviderError, type PromptMessage, type ProviderEvent } from '../../clients/providers/provider.ts';
import type { CatalogueModel } from './catalogue.ts';
import type { Models } from './models.ts';

export interface CompletionRequest {
  /** The model asked for. */
  readonly modelId: string;
  /**
   * What a model of the chain is sent: its limit may be lower, its window smaller, its tokens dearer than those of
   * the model asked for. Null leaves the model out.
   */
  readonly prepare: (model: CatalogueModel) => { messages: readonly PromptMessage[]; maxTokens: number } | null;
  readonly parameters: Parameters;
  readonly generationId: string;
}

/** `serving` comes once, before the first event of the model that serves. */
export type CompletionEvent = { readonly type: 'serving'; readonly modelId: string } | ProviderEvent;

export type StreamCompletion = (request: CompletionRequest, signal: AbortSignal) => AsyncGenerator<CompletionEvent>;

/**
 * Asks a model, and where it fails before its first event, the next of its chain.
 * @throws ProviderError of the last model that was really called (`MODEL_UNAVAILABLE` when none could be); the
 * signal's reason when it aborts.
 */
export function createStreamCompletion({ chain, provider }: Pick<Models, 'chain' | 'provider'>): StreamCompletion {
  return async function* streamCompletion({ modelId, prepare, parameters, generationId }, signal) {
    let failure = new ProviderError('MODEL_UNAVAILABLE', `no model of the chain of ${modelId} can be called`);
    for (const model of chain(modelId)) {
      const own = provider(model);
      const prompt = own === undefined ? null : prepare(model);
      if (own === undefined || prompt === null) continue;
      let serving = false;
      try {
        const events = own.stream({ model: model.target, ...prompt, parameters, generationId }, signal);
        for await (const event of events) {
          if (!serving) {
            serving = true;
            yield { type: 'serving', modelId: model.id };
          }
          yield event;
        }
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (serving || !(error instanceof ProviderError)) throw error;
        // That a fallback could not be called says less than how the model before it failed.
        if (error.code !== 'MODEL_UNAVAILABLE' || failure.code === 'MODEL_UNAVAILABLE') failure = error;
      }
    }
    throw failure;
  };
}
