import { vi } from 'vitest';
import type { FakeCall, FakeOpenAi } from './fake-openai.ts';

/** Other work on the machine must not fail a test: this bounds a wait that never ends, and measures nothing. */
export const patience = { timeout: 120_000 };

/** The first call whose last user message is exactly this text, once it has arrived. */
export function callFor(openai: FakeOpenAi, text: string): Promise<FakeCall> {
  return vi.waitFor(() => {
    const call = openai.calls.find(({ lastUserMessage }) => lastUserMessage === text);
    if (call === undefined) throw new Error(`the model was not asked ${JSON.stringify(text)}`);
    return call;
  }, patience);
}
