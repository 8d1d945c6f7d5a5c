import type { Usage } from '@chat-service/shared/objects';
import type { ProviderUsage } from '../../clients/providers/provider.ts';
import { creditsFor, type TokenPrice } from '../credits/credit-amount.ts';

/** The provider's own figure, priced. */
export function usageToldBy(told: ProviderUsage, price: TokenPrice): Usage {
  return {
    ...told,
    totalTokens: told.inputTokens + told.outputTokens,
    credits: creditsFor(told, price),
    estimated: false,
  };
}

/** What was counted here, where the provider told no figure before the end. */
export function usageCounted(inputTokens: number, outputTokens: number, price: TokenPrice): Usage {
  return {
    inputTokens,
    outputTokens,
    totalTokens: inputTokens + outputTokens,
    cachedInputTokens: 0,
    reasoningTokens: 0,
    credits: creditsFor({ inputTokens, outputTokens }, price),
    estimated: true,
  };
}
