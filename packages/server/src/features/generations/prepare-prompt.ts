import type { Parameters } from '@chat-service/shared/objects';
import type { Database } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { CatalogueModel } from '../models/catalogue.ts';
import { countsLikeHere } from '../models/counts-like-here.ts';
import type { PreparedPrompt } from './admit-generation.ts';
import { buildPrompt, type HistoryMessage } from './build-prompt.ts';
import type { Claim } from './claim-generation.ts';
import type { CountTokens } from './count-tokens.ts';
import type { MessageStore } from './message-store.ts';
import type { SendRequest } from './send-request.ts';

/** What of the models feature a prompt depends on. */
export interface PromptModels {
  /** The model and those that may answer in its place, the model itself first; empty for an unknown one. */
  chain(modelId: string): readonly CatalogueModel[];
  /** Null when it can be called. */
  unavailableReason(modelId: string): string | null;
}

export interface PrepareDependencies {
  readonly database: Database;
  readonly messages: MessageStore;
  readonly models: PromptModels;
  readonly loadTokenCounter: () => Promise<CountTokens>;
}

export type PreparePrompt = (claim: Claim, request: SendRequest) => Promise<PreparedPrompt>;

const batch = 100;
/** More code units than any token is likely to have: history beyond the window times this can not be part of the prompt. */
const unitsPerToken = 16;

/**
 * Decides what the model is asked.
 * @throws ServiceError `MODEL_UNAVAILABLE`; `BAD_REQUEST` where nothing is unanswered or the model's window is too small
 */
export function createPreparePrompt({
  database,
  messages,
  models,
  loadTokenCounter,
}: PrepareDependencies): PreparePrompt {
  /** The newest messages before a sequence, oldest first, as far back as the window can reach. */
  async function readHistory(sessionId: string, before: number, contextWindow: number): Promise<HistoryMessage[]> {
    const history: HistoryMessage[] = [];
    let units = 0;
    let next = before;
    for (;;) {
      const rows = await messages.readNewest(database.query, sessionId, next, batch);
      history.push(...rows);
      units += rows.reduce((sum, row) => sum + row.content.length, 0);
      const oldest = rows.at(-1);
      if (oldest === undefined || rows.length < batch || units > contextWindow * unitsPerToken)
        return history.toReversed();
      next = oldest.sequence;
    }
  }

  async function findUnanswered(sessionId: string): Promise<{ id: string; sequence: number }> {
    const newest = await messages.findNewestUserMessage(database.query, sessionId);
    if (newest === null || (await messages.isAnswered(database.query, newest))) {
      const error = { path: 'message', message: 'is required: no user message of this session is unanswered' };
      throw new ServiceError('BAD_REQUEST', { detail: 'There is nothing to answer.', errors: [error] });
    }
    return newest;
  }

  return async function preparePrompt({ session, modelId }, { message, parameters }) {
    const chain = models.chain(modelId);
    const [model] = chain;
    const reason = model === undefined ? 'The model is no longer configured.' : models.unavailableReason(modelId);
    if (model === undefined || reason !== null) {
      throw new ServiceError('MODEL_UNAVAILABLE', { ...(reason !== null && { detail: reason }), retryAfter: 30 });
    }
    const unanswered = message === undefined ? await findUnanswered(session.id) : null;
    const merged: Parameters = { ...session.parameters, ...parameters };
    const history = await readHistory(
      session.id,
      (unanswered?.sequence ?? session.nextSequence - 1) + 1,
      model.contextWindow,
    );
    if (message !== undefined) history.push({ role: 'user', content: message, status: 'complete' });
    const prompt = buildPrompt({
      systemPrompt: session.systemPrompt,
      history,
      contextWindow: model.contextWindow,
      maxOutput: Math.min(merged.maxTokens ?? model.maxTokens, model.maxTokens),
      countTokens: await loadTokenCounter(),
    });
    if (prompt.tooLong) {
      const error = { path: 'message', message: `does not fit into the ${model.contextWindow} tokens of the model` };
      throw new ServiceError('BAD_REQUEST', { detail: 'The message is too long for the model.', errors: [error] });
    }
    return {
      messages: prompt.messages,
      parameters: merged,
      promptTokens: prompt.promptTokens,
      maxTokens: prompt.maxTokens,
      countedExactly: chain.every(countsLikeHere),
      prices: Object.fromEntries(chain.map(({ id, creditCost }) => [id, creditCost])),
      answeredMessageId: unanswered?.id ?? null,
    };
  };
}
