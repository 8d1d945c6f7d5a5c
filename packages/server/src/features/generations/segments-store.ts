import { asc, eq, inArray, sql } from 'drizzle-orm';
import type { Database, Queryable, Tables } from '../../db/database.ts';
import type { Position } from './position.ts';
import type { RowState } from './row-watch.ts';

type SegmentRow = Tables['generationSegments']['$inferInsert'];

/** The text of running generations, appended once a second and folded into the message at the end. */
export type SegmentsStore = ReturnType<typeof createSegmentsStore>;

export function createSegmentsStore({ tables }: Pick<Database, 'tables'>) {
  const { generationSegments, generations } = tables;
  return {
    /**
     * One statement for all running generations. A segment that is there already, because the answer to its commit was
     * lost, is replaced by what has become of it since.
     */
    async append(tx: Queryable, rows: readonly SegmentRow[]): Promise<void> {
      if (rows.length === 0) return;
      await tx
        .insert(generationSegments)
        .values([...rows])
        .onConflictDoUpdate({
          target: [generationSegments.generationId, generationSegments.sequence],
          set: { text: sql`excluded.text`, fence: sql`excluded.fence`, number: sql`excluded.number` },
          // A late statement of a connection that hung has less text than what was stored since.
          setWhere: sql`excluded.number > ${generationSegments.number}`,
        });
    },

    /** The text so far and the position of its last event; null before the first checkpoint. */
    async read(tx: Queryable, generationId: string): Promise<{ text: string; position: Position } | null> {
      const rows = await tx
        .select()
        .from(generationSegments)
        .where(eq(generationSegments.generationId, generationId))
        .orderBy(asc(generationSegments.sequence));
      const last = rows.at(-1);
      if (last === undefined) return null;
      return {
        text: rows.map((row) => row.text).join(''),
        position: { fence: last.fence, number: last.number },
      };
    },

    async remove(tx: Queryable, generationId: string): Promise<void> {
      await tx.delete(generationSegments).where(eq(generationSegments.generationId, generationId));
    },

    /** What can change about generations while they are watched. */
    async readStates(tx: Queryable, ids: readonly string[]): Promise<Map<string, RowState>> {
      // Not the sequence: a segment whose commit was in doubt grows under the same one.
      const newest = sql<number | null>`(select max(${generationSegments.number}) from ${generationSegments}
        where ${generationSegments.generationId} = ${generations.id})`;
      const rows = await tx
        .select({ id: generations.id, status: generations.status, fence: generations.fence, newest })
        .from(generations)
        .where(inArray(generations.id, [...ids]));
      return new Map(
        rows.map(({ id, status, fence, newest: number }) => [
          id,
          { row: `${status}:${fence}`, text: String(number ?? 'none') },
        ]),
      );
    },
  };
}
