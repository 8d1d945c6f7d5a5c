import { delay, type Clock } from '../../../platform/clock.ts';
import { ProviderError, type Provider, type ProviderEvent } from '../provider.ts';
import { planAnswer, splitWords } from './demo-texts.ts';

export interface DemoProviderOptions {
  readonly clock: Clock;
  /** Infinity sends as fast as it is read. @default 30 */
  readonly tokensPerSecond?: number | undefined;
}

/**
 * A model without a model: embedded, without a key, the same answer to the same prompt at a pace that people can
 * follow. `/long`, `/slow`, `/error` and `/error mid` at the start of a message show how the service behaves.
 */
export function createDemoProvider({ clock, tokensPerSecond = 30 }: DemoProviderOptions): Provider {
  /** Never without giving the process a turn: a stop must be able to arrive. */
  async function pause(perSecond: number, signal: AbortSignal): Promise<void> {
    if (perSecond === Infinity) await new Promise((resolve) => setImmediate(resolve));
    else await delay(clock, 1000 / perSecond, signal);
    signal.throwIfAborted();
  }

  return {
    unavailableReason: () => null,
    missingVariable: () => null,

    async *stream({ messages, maxTokens }, signal): AsyncGenerator<ProviderEvent> {
      signal.throwIfAborted();
      const plan = planAnswer(messages);
      const words = splitWords(plan.text);
      const pace = Math.min(plan.pace ?? Infinity, tokensPerSecond);
      // At an unlimited pace nobody wants to wait for a slow answer either.
      const perSecond = tokensPerSecond === Infinity ? Infinity : pace;
      const sent = Math.min(words.length, maxTokens, plan.failsAfter ?? Infinity);
      for (const text of words.slice(0, sent)) {
        await pause(perSecond, signal);
        yield { type: 'text', text };
        signal.throwIfAborted();
      }
      if (sent === plan.failsAfter) throw new ProviderError('MODEL_ERROR', 'the demo model was asked to fail');
      const inputTokens = messages.reduce((sum, { content }) => sum + splitWords(content).length, 0);
      yield { type: 'usage', usage: { inputTokens, outputTokens: sent, cachedInputTokens: 0, reasoningTokens: 0 } };
      yield { type: 'finish', reason: sent < words.length ? 'length' : 'stop' };
    },
  };
}
