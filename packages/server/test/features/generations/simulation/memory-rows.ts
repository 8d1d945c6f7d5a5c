import { drizzle } from 'drizzle-orm/pg-proxy';
import type { Queryable, Tables } from '../../../../src/db/database.ts';
import { postgresDialect } from '../../../../src/db/postgres/dialect.ts';
import * as tables from '../../../../src/db/postgres/schema.ts';
import type {
  GenerationRow,
  GenerationsStore,
  SessionRow,
} from '../../../../src/features/generations/generations-store.ts';
import type { MessageRow } from '../../../../src/features/generations/message-row.ts';
import type { MessageStore } from '../../../../src/features/generations/message-store.ts';
import type { SegmentsStore } from '../../../../src/features/generations/segments-store.ts';
import { emptyGeneration, emptyMessage, emptySession } from '../whole-rows.ts';
import type { Random } from './random.ts';
import { DatabaseAway, type Rows } from './rows.ts';
import type { Process, Schedule } from './schedule.ts';

type Segment = Tables['generationSegments']['$inferSelect'];

interface OpenTransaction {
  readonly process: Process;
  readonly writes: (() => void)[];
}

const isLive = ({ status }: GenerationRow) => status === 'reserving' || status === 'running';

/**
 * The rows in memory, thousands of times faster than a database, under the promises that the stores make: writers exclude one
 * another, what a transaction writes is seen at its commit, every statement is a step that others may come before.
 */
export function createMemoryRows(schedule: Schedule, random: Random): Rows {
  const sessions = new Map<string, SessionRow>();
  const generations = new Map<string, GenerationRow>();
  const messages = new Map<string, MessageRow>();
  const segments = new Map<string, Segment[]>();
  const checkpointed = new Map<string, string>();
  let writer: OpenTransaction | null = null;
  const isUnlocked = () => writer === null;

  function fail(probability: number): void {
    if (rows.faulty && random.chance(probability)) throw new DatabaseAway('The database is away.');
  }

  const rows: Rows = {
    faulty: false,
    stepsInTransactions: true,
    open(process) {
      const handles = new WeakMap<Queryable, OpenTransaction>();

      /** The statements that are written where they are used: none of them matters to a schedule. */
      const createHandle = (): Queryable =>
        drizzle(async (text: string) => {
          if (!/^(update "sessions" set|select "title" from "sessions")/u.test(text))
            throw new Error(`Unknown: ${text}`);
          await schedule.point(process);
          return { rows: [] };
        });
      const query = createHandle();

      async function read<Result>(look: () => Result): Promise<Result> {
        await schedule.point(process);
        fail(0.3);
        return look();
      }

      /** `decide` looks at the rows and returns what to tell; `change` is applied now, or at the commit. */
      async function write<Result>(
        tx: Queryable,
        decide: () => { result: Result; change?: () => void },
      ): Promise<Result> {
        const open = handles.get(tx);
        await schedule.point(process, open === undefined ? isUnlocked : undefined);
        fail(0.2);
        const { result, change } = decide();
        if (change !== undefined && open !== undefined) open.writes.push(change);
        else change?.();
        return result;
      }

      async function transaction<Result>(work: (tx: Queryable) => Promise<Result>): Promise<Result> {
        await schedule.point(process, isUnlocked);
        fail(0.2);
        const own: OpenTransaction = { process, writes: [] };
        writer = own;
        try {
          const tx = createHandle();
          handles.set(tx, own);
          const result = await work(tx);
          await schedule.point(process);
          fail(0.2);
          for (const change of own.writes) change();
          writer = null;
          await schedule.point(process);
          // The commit stands, and its answer is lost.
          fail(0.2);
          return result;
        } finally {
          if (writer === own) writer = null;
        }
      }

      const held = ({ id, fence }: { id: string; fence: number }, status?: GenerationRow['status']) => {
        const row = generations.get(id);
        return row !== undefined && row.fence === fence && (status === undefined || row.status === status) ? row : null;
      };
      const expiry = (milliseconds: number) => new Date(schedule.now() + milliseconds);
      const update = (row: GenerationRow | null, values: Partial<GenerationRow>) => {
        return row === null ? { result: false } : { result: true, change: () => void Object.assign(row, values) };
      };
      const copy = <Row extends object>(row: Row | undefined | null) => (row == null ? null : { ...row });
      const ofSession = (sessionId: string) => [...generations.values()].filter((row) => row.sessionId === sessionId);
      const newest = (found: GenerationRow[]) => copy(found.toSorted((a, b) => b.claimFence - a.claimFence)[0]);

      const store: GenerationsStore = {
        lockAccount: () => Promise.resolve(),
        lockSession: (_tx, id) => read(() => copy(sessions.get(id))),
        lockSessionOf: (_tx, id) => read(() => copy(sessions.get(id))),
        readSessionStates: () => Promise.resolve(new Map()),
        findSession: (_tx, id) => read(() => copy(sessions.get(id))),
        find: (_tx, id) => read(() => copy(generations.get(id))),
        lock: (_tx, id) => read(() => copy(generations.get(id))),
        isLive: (_tx, id) => read(() => [...generations.values()].some((row) => row.id === id && isLive(row))),
        findLive: (_tx, sessionId) =>
          read(() => {
            const row = copy(ofSession(sessionId).find(isLive));
            return row === null ? null : { row, expired: row.leaseExpiresAt.getTime() < schedule.now() };
          }),
        findAt: (_tx, sessionId, { fence }) =>
          read(() => newest(ofSession(sessionId).filter((row) => row.claimFence <= fence && fence <= row.fence))),
        findLatest: (_tx, sessionId, endedWithin = Infinity) =>
          read(() => {
            const since = schedule.now() - endedWithin;
            const isRecent = (row: GenerationRow) => isLive(row) || (row.endedAt?.getTime() ?? 0) >= since;
            const isAdmitted = ({ status }: GenerationRow) => status !== 'reserving' && status !== 'refused';
            return newest(ofSession(sessionId).filter((row) => isAdmitted(row) && isRecent(row)));
          }),
        countLive: () => read(() => [...generations.values()].filter(isLive).length),
        listExpired: () =>
          read(() =>
            [...generations.values()]
              .filter((row) => isLive(row) && row.leaseExpiresAt.getTime() < schedule.now())
              .map((row) => ({ ...row })),
          ),
        listLiveOfOthers: (_tx, owner) =>
          read(() => [...generations.values()].filter((row) => isLive(row) && row.owner !== owner)),
        raiseFence: (tx, sessionId) =>
          write(tx, () => {
            const session = sessions.get(sessionId);
            if (session === undefined) throw new Error('There is no such session.');
            const fence = session.fence + 1;
            return { result: fence, change: () => void (session.fence = fence) };
          }),
        insertClaim: (tx, { fence, id, sessionId, ...values }, leaseMilliseconds) =>
          write(tx, () => {
            if (ofSession(sessionId).some(isLive)) throw new Error('Two live generations in one session.');
            const row = {
              ...emptyGeneration(id, sessionId, fence),
              ...values,
              leaseExpiresAt: expiry(leaseMilliseconds),
            };
            return { result: undefined, change: () => void generations.set(id, row) };
          }),
        admit: (tx, generation, { text, ...rest }, leaseMilliseconds) =>
          write(tx, () => {
            const row = held(generation, 'reserving');
            const leaseExpiresAt = expiry(leaseMilliseconds);
            const position = { textFence: text.fence, textNumber: text.number };
            const free = row?.stopRequestedBy == null ? row : null;
            return update(free, { ...rest, ...position, leaseExpiresAt, status: 'running' });
          }),
        refuse: (tx, generation, refusal, endedAt) =>
          write(tx, () => update(held(generation, 'reserving'), { status: 'refused', refusal, endedAt })),
        takeOver: (tx, generation, next, leaseMilliseconds) =>
          write(tx, () => {
            const row = held(generation);
            return update(row !== null && isLive(row) ? row : null, {
              ...next,
              leaseExpiresAt: expiry(leaseMilliseconds),
            });
          }),
        end: (tx, generation, { status, text, end, endedAt }) =>
          write(tx, () => {
            const row = held(generation, 'running');
            const textPosition = { textFence: text.fence, textNumber: text.number };
            const ended = update(row, { ...textPosition, status, endedAt, endFence: end.fence, endNumber: end.number });
            return { ...ended, result: ended.result ? (row?.admittedAt ?? endedAt) : null };
          }),
        serve: (tx, generation, servedBy) =>
          write(tx, () => ({ ...update(held(generation), { servedBy }), result: undefined })),
        requestStop: (tx, id, by) =>
          write(tx, () => {
            const row = generations.get(id);
            const open = row !== undefined && isLive(row) && row.stopRequestedBy === null ? row : null;
            return { ...update(open, { stopRequestedBy: by }), result: undefined };
          }),
        renew: (tx, owner, ids, leaseMilliseconds) =>
          write(tx, () => {
            const renewed = [...generations.values()].filter(
              (row) => ids.includes(row.id) && row.owner === owner && isLive(row),
            );
            const leaseExpiresAt = expiry(leaseMilliseconds);
            const result = renewed.map(({ id, fence, stopRequestedBy }) => ({ id, fence, stopRequestedBy }));
            return { result, change: () => renewed.forEach((row) => Object.assign(row, { leaseExpiresAt })) };
          }),
        // A copy that waits longer than refusals are kept is no schedule of this suite.
        deleteRefused: () => Promise.resolve(),
      };

      const messageStore: MessageStore = {
        find: (_tx, id) => read(() => copy(messages.get(id))),
        append: (tx, session, added, changes) =>
          write(tx, () => {
            const result = added.map((message, index) => emptyMessage(message, session, index));
            const change = () => {
              for (const row of result) messages.set(row.id, { ...row });
              const stored = sessions.get(session.id);
              if (stored !== undefined) {
                Object.assign(stored, changes, { nextSequence: session.nextSequence + added.length });
              }
            };
            return { result, change };
          }),
        finish: (tx, id, values) =>
          write(tx, () => {
            const row = messages.get(id);
            if (row === undefined) return { result: null };
            return { result: { ...row, ...values }, change: () => void Object.assign(row, values) };
          }),
        findNewestUserMessage: () => Promise.resolve(null),
        findOldestUserMessage: () => Promise.resolve(null),
        isAnswered: () => Promise.resolve(false),
        readNewest: () => Promise.resolve([]),
      };

      const ordered = (id: string) => (segments.get(id) ?? []).toSorted((a, b) => a.sequence - b.sequence);
      const textOf = (id: string) =>
        ordered(id)
          .map(({ text }) => text)
          .join('');
      const segmentsStore: SegmentsStore = {
        append: (tx, added) =>
          added.length === 0
            ? Promise.resolve()
            : write(tx, () => ({
                result: undefined,
                change() {
                  for (const row of added) {
                    const others = (segments.get(row.generationId) ?? []).filter(
                      (old) => old.sequence !== row.sequence,
                    );
                    segments.set(row.generationId, [...others, row]);
                    checkpointed.set(row.generationId, textOf(row.generationId));
                  }
                },
              })),
        read: (_tx, id) =>
          read(() => {
            const found = ordered(id);
            const last = found.at(-1);
            if (last === undefined) return null;
            const { fence, number } = last;
            return { text: textOf(id), position: { fence, number } };
          }),
        remove: (tx, id) => write(tx, () => ({ result: undefined, change: () => void segments.delete(id) })),
        readStates: (_tx, ids) =>
          read(() => {
            const found = ids.flatMap((id) => generations.get(id) ?? []);
            const text = (id: string) => String(ordered(id).at(-1)?.number ?? 'none');
            return new Map(found.map(({ id, status, fence }) => [id, { row: `${status}:${fence}`, text: text(id) }]));
          }),
      };

      return {
        store,
        segments: segmentsStore,
        messages: messageStore,
        database: {
          kind: 'postgres',
          tables,
          dialect: postgresDialect,
          query,
          transaction,
          eraseDeleted: () => Promise.resolve('erased'),
          ping: () => read(() => undefined),
          [Symbol.asyncDispose]: () => Promise.resolve(),
        },
      };
    },
    forget(process) {
      if (writer?.process === process) writer = null;
    },
    addSession(sessionId) {
      sessions.set(sessionId, emptySession(sessionId));
      return Promise.resolve();
    },
    generation: (id) => Promise.resolve(generations.get(id) ?? null),
    message: (id) => Promise.resolve(messages.get(id) ?? null),
    checkpointed: (id) => Promise.resolve(checkpointed.get(id) ?? ''),
    segmentText: (id) =>
      Promise.resolve(
        segments
          .get(id)
          ?.map(({ text }) => text)
          .join('') ?? null,
      ),
  };
  return rows;
}
