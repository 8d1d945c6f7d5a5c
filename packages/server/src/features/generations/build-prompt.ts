import type { MessageStatus } from '@chat-service/shared/objects';
import type { PromptMessage } from '../../clients/providers/provider.ts';
import { messageOverheadTokens, replyOverheadTokens, type CountTokens } from './count-tokens.ts';

export interface HistoryMessage {
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly status: MessageStatus;
}

export interface PromptInput {
  readonly systemPrompt: string | null;
  /** Oldest first, up to and including the user message that is to be answered. */
  readonly history: readonly HistoryMessage[];
  /** Most tokens of prompt and answer together. */
  readonly contextWindow: number;
  /** Most tokens that the answer may have. */
  readonly maxOutput: number;
  readonly countTokens: CountTokens;
}

export type Prompt =
  | {
      readonly tooLong: false;
      /** System message first, then turns that alternate, from the user's to the user's. */
      readonly messages: readonly PromptMessage[];
      readonly promptTokens: number;
      /** What is left for the answer: at least 1, at most `maxOutput`. */
      readonly maxTokens: number;
    }
  /** System prompt and last user turn alone leave no room for one token of an answer. */
  | { readonly tooLong: true; readonly promptTokens: number };

/** Older turns are dropped once they would take this part of the window from the answer. */
const answerShare = 1 / 4;

/**
 * What the model is sent. Neighbours of one role are joined by a blank line. Left out are empty messages, answers that
 * `failed`, and what comes before the first user message; an answer that was stopped or interrupted stays as far as it
 * came, so that the user can ask to go on. Oldest turns are dropped first, never the system prompt or the last user turn.
 */
export function buildPrompt({ systemPrompt, history, contextWindow, maxOutput, countTokens }: PromptInput): Prompt {
  const turns = joinTurns(history);
  const last = turns.pop();
  if (last === undefined) throw new TypeError('A prompt needs a user message.');
  const cost = ({ content }: PromptMessage) => countTokens(content) + messageOverheadTokens;

  const system: PromptMessage[] =
    systemPrompt === null || systemPrompt === '' ? [] : [{ role: 'system', content: systemPrompt }];
  let promptTokens = replyOverheadTokens + cost(last) + system.reduce((sum, message) => sum + cost(message), 0);
  if (promptTokens + 1 > contextWindow) return { tooLong: true, promptTokens };

  const answerRoom = Math.max(1, Math.min(maxOutput, Math.floor(contextWindow * answerShare)));
  const kept: PromptMessage[] = [last];
  // Question and answer go together: `turns` ends with an answer, and each answer has its question before it.
  for (let index = turns.length - 2; index >= 0; index -= 2) {
    const exchange = turns.slice(index, index + 2);
    const exchangeTokens = exchange.reduce((sum, message) => sum + cost(message), 0);
    if (promptTokens + exchangeTokens + answerRoom > contextWindow) break;
    promptTokens += exchangeTokens;
    kept.unshift(...exchange);
  }
  const maxTokens = Math.max(1, Math.min(maxOutput, contextWindow - promptTokens));
  return { tooLong: false, messages: [...system, ...kept], promptTokens, maxTokens };
}

/** Turns that alternate, the first and the last of them the user's. */
function joinTurns(history: readonly HistoryMessage[]): PromptMessage[] {
  const turns: { role: 'user' | 'assistant'; parts: string[] }[] = [];
  for (const { role, content, status } of history) {
    if (content === '' || (role === 'assistant' && !isAnswer(status))) continue;
    const previous = turns.at(-1);
    if (previous?.role === role) previous.parts.push(content);
    else if (previous !== undefined || role === 'user') turns.push({ role, parts: [content] });
  }
  if (turns.at(-1)?.role === 'assistant') turns.pop();
  return turns.map(({ role, parts }) => ({ role, content: parts.join('\n\n') }));
}

function isAnswer(status: MessageStatus): boolean {
  return status === 'complete' || status === 'stopped' || status === 'interrupted';
}
