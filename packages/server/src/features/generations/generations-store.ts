import { and, asc, count, desc, eq, gte, inArray, isNull, lt, sql } from 'drizzle-orm';
import type { GenerationRefusal, GenerationRequest, GenerationPrices, StopRequester } from '../../db/column-types.ts';
import { isLiveGeneration } from '../../db/conditions.ts';
import type { Database, Queryable, Tables } from '../../db/database.ts';
import type { Position } from './position.ts';
import type { RowState } from './row-watch.ts';

export type GenerationRow = Tables['generations']['$inferSelect'];
export type SessionRow = Tables['sessions']['$inferSelect'];

/** A generation as whoever may write to it names it: with another fence nothing is changed. */
export interface FencedGeneration {
  readonly id: string;
  readonly fence: number;
}

/** The statements on generations. Locks are taken in the order account, session, generation, messages. */
export type GenerationsStore = ReturnType<typeof createGenerationsStore>;

export function createGenerationsStore({ tables, dialect }: Pick<Database, 'tables' | 'dialect'>) {
  const { generations, sessions, users } = tables;
  const live = isLiveGeneration(generations);
  const held = ({ id, fence }: FencedGeneration) => and(eq(generations.id, id), eq(generations.fence, fence));

  return {
    async lockAccount(tx: Queryable, userId: string): Promise<void> {
      await dialect.forUpdate(tx.select({ id: users.id }).from(users).where(eq(users.id, userId)));
    },

    /** The session, locked until the transaction ends; null where the user has no such session. */
    async lockSession(tx: Queryable, sessionId: string, userId: string): Promise<SessionRow | null> {
      const [row] = await dialect.forUpdate(
        tx
          .select()
          .from(sessions)
          .where(and(eq(sessions.id, sessionId), eq(sessions.userId, userId), isNull(sessions.deletedAt))),
      );
      return row ?? null;
    },

    /** As `lockSession`, for whoever acts on a generation, whoever owns the session and also while it is being deleted. */
    async lockSessionOf(tx: Queryable, sessionId: string): Promise<SessionRow | null> {
      const [row] = await dialect.forUpdate(tx.select().from(sessions).where(eq(sessions.id, sessionId)));
      return row ?? null;
    },

    async findSession(tx: Queryable, sessionId: string, userId: string): Promise<SessionRow | null> {
      const [row] = await tx
        .select()
        .from(sessions)
        .where(and(eq(sessions.id, sessionId), eq(sessions.userId, userId), isNull(sessions.deletedAt)));
      return row ?? null;
    },

    async find(tx: Queryable, id: string): Promise<GenerationRow | null> {
      const [row] = await tx.select().from(generations).where(eq(generations.id, id));
      return row ?? null;
    },

    async lock(tx: Queryable, id: string): Promise<GenerationRow | null> {
      const [row] = await dialect.forUpdate(tx.select().from(generations).where(eq(generations.id, id)));
      return row ?? null;
    },

    /** The generation that holds the session's slot, and whether its owner has let the lease run out. */
    async findLive(tx: Queryable, sessionId: string): Promise<{ row: GenerationRow; expired: boolean } | null> {
      const [row] = await tx
        .select()
        .from(generations)
        .where(and(eq(generations.sessionId, sessionId), live));
      if (row === undefined) return null;
      const expired = await tx
        .select({ id: generations.id })
        .from(generations)
        .where(and(eq(generations.id, row.id), lt(generations.leaseExpiresAt, dialect.now())));
      return { row, expired: expired.length > 0 };
    },

    /** The generation that a position of the session's log belongs to. */
    async findAt(tx: Queryable, sessionId: string, { fence }: Position): Promise<GenerationRow | null> {
      const [row] = await tx
        .select()
        .from(generations)
        .where(
          and(
            eq(generations.sessionId, sessionId),
            sql`${generations.claimFence} <= ${fence}`,
            gte(generations.fence, fence),
          ),
        )
        .orderBy(desc(generations.claimFence))
        .limit(1);
      return row ?? null;
    },

    /** The newest admitted generation of a session; with `endedWithin`, one that runs or ended so long ago at the most. */
    async findLatest(tx: Queryable, sessionId: string, endedWithin?: number): Promise<GenerationRow | null> {
      const [row] = await tx
        .select()
        .from(generations)
        .where(
          and(
            eq(generations.sessionId, sessionId),
            sql`${generations.status} not in ('reserving', 'refused')`,
            endedWithin === undefined
              ? undefined
              : sql`(${live} or ${gte(generations.endedAt, dialect.nowPlus(-endedWithin))})`,
          ),
        )
        .orderBy(desc(generations.claimFence))
        .limit(1);
      return row ?? null;
    },

    async isLive(tx: Queryable, id: string): Promise<boolean> {
      const rows = await tx
        .select({ id: generations.id })
        .from(generations)
        .where(and(eq(generations.id, id), live));
      return rows.length > 0;
    },

    async countLive(tx: Queryable, userId: string): Promise<number> {
      const [row] = await tx
        .select({ live: count() })
        .from(generations)
        .where(and(eq(generations.userId, userId), live));
      return row?.live ?? 0;
    },

    async listExpired(tx: Queryable, limit: number): Promise<GenerationRow[]> {
      return tx
        .select()
        .from(generations)
        .where(and(live, lt(generations.leaseExpiresAt, dialect.now())))
        .orderBy(asc(generations.leaseExpiresAt))
        .limit(limit);
    },

    async listLiveOfOthers(tx: Queryable, owner: string, limit: number): Promise<GenerationRow[]> {
      return tx
        .select()
        .from(generations)
        .where(and(live, sql`${generations.owner} <> ${owner}`))
        .limit(limit);
    },

    async raiseFence(tx: Queryable, sessionId: string): Promise<number> {
      const [row] = await tx
        .update(sessions)
        .set({ fence: sql`${sessions.fence} + 1` })
        .where(eq(sessions.id, sessionId))
        .returning({ fence: sessions.fence });
      if (row === undefined) throw new Error(`Session ${sessionId} is gone while it is locked.`);
      return row.fence;
    },

    async insertClaim(
      tx: Queryable,
      claim: Pick<GenerationRow, 'id' | 'sessionId' | 'userId' | 'owner' | 'modelId' | 'createdAt'> & { fence: number },
      leaseMilliseconds: number,
    ): Promise<void> {
      const { fence, ...values } = claim;
      await tx.insert(generations).values({
        ...values,
        status: 'reserving',
        claimFence: fence,
        fence,
        leaseExpiresAt: dialect.nowPlus(leaseMilliseconds),
      });
    },

    /** False when the claim is no longer the caller's, or a stop was asked for. */
    async admit(
      tx: Queryable,
      generation: FencedGeneration,
      values: {
        userMessageId: string;
        request: GenerationRequest;
        prices: GenerationPrices;
        promptTokens: number;
        /** The position of its `start`: its fence is the generation's from now on. */
        text: Position;
        admittedAt: Date;
      },
      leaseMilliseconds: number,
    ): Promise<boolean> {
      const { text, ...rest } = values;
      const rows = await tx
        .update(generations)
        .set({
          ...rest,
          status: 'running',
          claimFence: text.fence,
          fence: text.fence,
          textFence: text.fence,
          textNumber: text.number,
          leaseExpiresAt: dialect.nowPlus(leaseMilliseconds),
        })
        .where(and(held(generation), eq(generations.status, 'reserving'), isNull(generations.stopRequestedBy)))
        .returning({ id: generations.id });
      return rows.length > 0;
    },

    async refuse(tx: Queryable, generation: FencedGeneration, refusal: GenerationRefusal, now: Date): Promise<boolean> {
      const rows = await tx
        .update(generations)
        .set({ status: 'refused', refusal, endedAt: now })
        .where(and(held(generation), eq(generations.status, 'reserving')))
        .returning({ id: generations.id });
      return rows.length > 0;
    },

    /** Moves a live generation to another owner under a higher fence; the former owner's writes change nothing from then on. */
    async takeOver(
      tx: Queryable,
      generation: FencedGeneration,
      next: { fence: number; owner: string },
      leaseMilliseconds: number,
    ): Promise<boolean> {
      const rows = await tx
        .update(generations)
        .set({ ...next, leaseExpiresAt: dialect.nowPlus(leaseMilliseconds) })
        .where(and(held(generation), live))
        .returning({ id: generations.id });
      return rows.length > 0;
    },

    /** When it was admitted; null when it is no longer the caller's to end. */
    async end(
      tx: Queryable,
      generation: FencedGeneration,
      values: {
        status: 'complete' | 'stopped' | 'failed' | 'interrupted';
        text: Position;
        end: Position;
        endedAt: Date;
      },
    ): Promise<Date | null> {
      const { status, text, end, endedAt } = values;
      const rows = await tx
        .update(generations)
        .set({
          status,
          endedAt,
          textFence: text.fence,
          textNumber: text.number,
          endFence: end.fence,
          endNumber: end.number,
        })
        .where(and(held(generation), eq(generations.status, 'running')))
        .returning({ admittedAt: generations.admittedAt });
      const [row] = rows;
      return row === undefined ? null : (row.admittedAt ?? endedAt);
    },

    /** As `readStates` of the segments, for whole sessions. */
    async readSessionStates(tx: Queryable, ids: readonly string[]): Promise<Map<string, RowState>> {
      const { generationSegments } = tables;
      const newest = sql<number | null>`(select max(${generationSegments.number}) from ${generationSegments}
        where ${generationSegments.generationId} = ${sessions.activeGenerationId})`;
      const rows = await tx
        .select({
          id: sessions.id,
          fence: sessions.fence,
          logFence: sessions.logFence,
          logNumber: sessions.logNumber,
          activeGenerationId: sessions.activeGenerationId,
          newest,
        })
        .from(sessions)
        .where(and(inArray(sessions.id, [...ids]), isNull(sessions.deletedAt)));
      return new Map(
        rows.map(({ id, newest: number, ...row }) => [
          id,
          { row: JSON.stringify(row), text: String(number ?? 'none') },
        ]),
      );
    },

    /** Which model answers in the place of the one asked for: who ends it in the owner's place has to know. */
    async serve(tx: Queryable, generation: FencedGeneration, modelId: string): Promise<void> {
      await tx
        .update(generations)
        .set({ servedBy: modelId })
        .where(and(held(generation), live));
    },

    /** The first request to stop is the one that counts. */
    async requestStop(tx: Queryable, id: string, by: StopRequester): Promise<void> {
      await tx
        .update(generations)
        .set({ stopRequestedBy: by })
        .where(and(eq(generations.id, id), live, isNull(generations.stopRequestedBy)));
    },

    /** Renews the leases of `ids` that `owner` still holds and tells what is asked of them. */
    async renew(
      tx: Queryable,
      owner: string,
      ids: readonly string[],
      leaseMilliseconds: number,
    ): Promise<{ id: string; fence: number; stopRequestedBy: StopRequester | null }[]> {
      return tx
        .update(generations)
        .set({ leaseExpiresAt: dialect.nowPlus(leaseMilliseconds) })
        .where(and(inArray(generations.id, [...ids]), eq(generations.owner, owner), live))
        .returning({
          id: generations.id,
          fence: generations.fence,
          stopRequestedBy: generations.stopRequestedBy,
        });
    },

    /** Forgets refusals that no copy of their request can still be waiting for. */
    async deleteRefused(tx: Queryable, olderThanMs: number): Promise<void> {
      await tx
        .delete(generations)
        .where(and(eq(generations.status, 'refused'), lt(generations.endedAt, dialect.nowPlus(-olderThanMs))));
    },
  };
}
