import { and, desc, eq, isNotNull } from 'drizzle-orm';
import type { Database } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';
import { buildPrompt } from './build-prompt.ts';
import type { CountTokens } from './count-tokens.ts';
import type { GenerationsStore } from './generations-store.ts';
import type { MessageStore } from './message-store.ts';

/** Tokens that the next answer of a conversation takes: its whole history in, an answer like its last ones out. */
export interface ConversationEstimate {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** @throws ServiceError `NOT_FOUND` for a session that is not the user's */
export type EstimateConversation = (userId: string, sessionId: string) => Promise<ConversationEstimate>;

export interface EstimateDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly messages: MessageStore;
  readonly loadTokenCounter: () => Promise<CountTokens>;
}

const newestMessages = 200;
/** Of an answer in a conversation that has none yet. */
const usualOutputTokens = 500;

export function createEstimateConversation(deps: EstimateDependencies): EstimateConversation {
  const { database, store, messages, loadTokenCounter } = deps;
  const { messages: table } = database.tables;

  async function usualAnswer(sessionId: string): Promise<number> {
    const rows = await database.query
      .select({ usage: table.usage })
      .from(table)
      .where(and(eq(table.sessionId, sessionId), isNotNull(table.usage)))
      .orderBy(desc(table.sequence))
      .limit(10);
    const counts = rows.flatMap(({ usage }) => usage?.outputTokens ?? []);
    if (counts.length === 0) return usualOutputTokens;
    return Math.max(1, Math.round(counts.reduce((sum, tokens) => sum + tokens, 0) / counts.length));
  }

  return async function estimateConversation(userId, sessionId) {
    const session = await store.findSession(database.query, sessionId, userId);
    if (session === null) throw new ServiceError('NOT_FOUND');
    const newest = await messages.readNewest(database.query, sessionId, session.nextSequence, newestMessages);
    const history = newest.toReversed();
    const countTokens = await loadTokenCounter();
    const { systemPrompt } = session;
    // The question that is still to come counts as one token of a user's message.
    history.push({ sequence: session.nextSequence, role: 'user', content: '?', status: 'complete' });
    const contextWindow = Number.MAX_SAFE_INTEGER;
    const prompt = buildPrompt({ systemPrompt, history, contextWindow, maxOutput: 1, countTokens });
    return { inputTokens: prompt.promptTokens, outputTokens: await usualAnswer(sessionId) };
  };
}
