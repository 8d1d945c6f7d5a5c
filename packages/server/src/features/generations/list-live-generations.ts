import { codePointLength } from '@chat-service/shared/text';
import type { Database } from '../../db/database.ts';
import type { CountTokens } from './count-tokens.ts';
import type { SessionRow } from './generations-store.ts';
import { createLiveGenerationsStore, type MeasuredText } from './live-generations-store.ts';

/** An answer that is being written. */
export interface LiveGeneration {
  readonly session: SessionRow;
  /** The model asked for. */
  readonly modelId: string;
  readonly startedAt: Date;
  /** Of the stored text, at most a second old: counted of its beginning, and taken to go on like that. */
  readonly outputTokens: number;
}

/** The answers that are being written on all instances, the one that began last first. */
export type ListLiveGenerations = (limit: number) => Promise<LiveGeneration[]>;

export interface ListLiveGenerationsDependencies {
  readonly database: Database;
  readonly loadTokenCounter: () => Promise<CountTokens>;
}

export function createListLiveGenerations(deps: ListLiveGenerationsDependencies): ListLiveGenerations {
  const { database, loadTokenCounter } = deps;
  const store = createLiveGenerationsStore(database);
  return async function listLiveGenerations(limit) {
    const rows = await store.listRunning(database.query, limit);
    const texts = await store.measure(
      database.query,
      rows.map(({ generation }) => generation.id),
    );
    const countTokens = texts.size === 0 ? () => 0 : await loadTokenCounter();
    return rows.map(({ generation, session }) => ({
      session,
      modelId: generation.modelId,
      startedAt: generation.admittedAt ?? generation.createdAt,
      outputTokens: estimate(texts.get(generation.id), countTokens),
    }));
  };
}

function estimate(text: MeasuredText | undefined, countTokens: CountTokens): number {
  if (text === undefined || text.beginning === '') return 0;
  const { beginning, length } = text;
  return Math.round((countTokens(beginning) * length) / codePointLength(beginning));
}
