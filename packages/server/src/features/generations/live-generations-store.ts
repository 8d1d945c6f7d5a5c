import { and, desc, eq, inArray, isNull, sql } from 'drizzle-orm';
import { isLiveGeneration } from '../../db/conditions.ts';
import type { Database, Queryable } from '../../db/database.ts';
import type { GenerationRow, SessionRow } from './generations-store.ts';

/** A text as far as its tokens are estimated: its beginning, and its whole length in code points. */
export interface MeasuredText {
  readonly beginning: string;
  readonly length: number;
}

/** What is read of a text: of its first segments, so many code points. */
const measuredSegments = 8;
const measuredLength = 2000;

/** What supervisors are told of all that runs. */
export function createLiveGenerationsStore({ tables }: Pick<Database, 'tables'>) {
  const { generations, generationSegments, sessions } = tables;
  return {
    /** The running ones with their sessions, the one that began last first. */
    async listRunning(tx: Queryable, limit: number): Promise<{ generation: GenerationRow; session: SessionRow }[]> {
      return (
        tx
          .select({ generation: generations, session: sessions })
          .from(generations)
          .innerJoin(sessions, eq(sessions.id, generations.sessionId))
          // The first condition is the index's: whatever runs is live.
          .where(and(isLiveGeneration(generations), eq(generations.status, 'running'), isNull(sessions.deletedAt)))
          .orderBy(desc(generations.admittedAt), desc(generations.id))
          .limit(limit)
      );
    },

    /** What is stored of the text of each of these generations that has any. */
    async measure(tx: Queryable, ids: readonly string[]): Promise<Map<string, MeasuredText>> {
      if (ids.length === 0) return new Map();
      const { generationId, sequence, text } = generationSegments;
      const rows = await tx
        .select({
          id: generationId,
          beginning: sql<string | null>`substr(string_agg(${text}, '' order by ${sequence})
            filter (where ${sequence} < ${measuredSegments}), 1, ${measuredLength})`,
          length: sql`sum(length(${text}))`.mapWith(Number),
        })
        .from(generationSegments)
        .where(inArray(generationId, [...ids]))
        .groupBy(generationId);
      return new Map(rows.map(({ id, beginning, length }) => [id, { beginning: beginning ?? '', length }]));
    },
  };
}
