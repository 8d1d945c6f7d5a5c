import { isDeepStrictEqual } from 'node:util';
import type { ObservationEvent } from '@chat-service/shared/events';
import { asc, eq, sql } from 'drizzle-orm';
import type { Database } from '../../../../src/db/database.ts';
import { toMessage } from '../../../../src/features/generations/message-row.ts';
import type { IdentifiedObservationEvent } from '../../../../src/features/supervision/observe-session.ts';
import { createLogger } from '../../../../src/platform/logger.ts';
import { ServiceError } from '../../../../src/platform/service-error.ts';
import { clearDatabase } from '../../../support/databases.ts';
import { sessionRow, userRow } from '../../../support/rows.ts';
import { createRandom } from '../../generations/simulation/random.ts';
import { createSchedule } from '../../generations/simulation/schedule.ts';
import { createInstance, leaseMilliseconds, type Instance } from './instance.ts';
import { createTranscript, type Transcript } from './transcript.ts';

const userId = 'user';
const sessionId = '00000000-0000-7000-8000-000000000001';
/** For leases to run out and everyone to be told, in milliseconds of the run's clock. */
const toSettle = 20_000;

/** How often a run has met what it is about, by name. */
export type Tally = Record<string, number>;

interface Connection {
  readonly instance: Instance;
  readonly controller: AbortController;
  readonly events: AsyncGenerator<IdentifiedObservationEvent, void, void> | null;
  pulling: boolean;
}

interface Observer {
  readonly name: string;
  readonly transcript: Transcript;
  connection: Connection | null;
  /** Has left for good. */
  gone: boolean;
}

/**
 * Plays one schedule that the seed decides: a user who sends, stops, deletes, and supervisors who come at any moment, stall,
 * leave and come back, at instances that may die.
 * @throws Error with the seed and what happened, when an observer was told anything but the truth, or not all of it
 */
export async function playSchedule(seed: number, database: Database): Promise<Tally> {
  const random = createRandom(seed);
  const schedule = createSchedule(random);
  await clearDatabase(database);
  const { query, tables } = database;
  await query.delete(tables.observations);
  await query.insert(tables.users).values([userRow(userId), { ...userRow('observer'), role: 'supervisor' }]);
  await query.insert(tables.sessions).values(sessionRow(sessionId, userId));
  const time = (milliseconds: number) => sql<Date>`${milliseconds}`.mapWith(tables.users.createdAt);
  const several = random.chance(0.6);
  const shared: Database = {
    ...database,
    kind: several ? 'postgres' : 'sqlite',
    dialect: {
      ...database.dialect,
      now: () => time(schedule.now()),
      nowPlus: (milliseconds) => time(schedule.now() + milliseconds),
    },
  };

  const trace: string[] = [];
  const violations: string[] = [];
  const tally: Tally = {};
  const tell = (line: string) => void trace.push(`${schedule.now() % 1e8} ${line}`);
  const count = (name: string) => void (tally[name] = (tally[name] ?? 0) + 1);
  const violation = (text: string) => {
    tell(`VIOLATION ${text}`);
    violations.push(text);
  };
  const assertSound = () => {
    if (violations.length > 0) throw new Error(`Schedule ${seed}: ${violations.join('; ')}\n${trace.join('\n')}`);
  };

  let ids = 0;
  const texts = new Map<string, readonly string[]>();
  const textsOf = (id: string) => {
    const known = texts.get(id);
    if (known !== undefined) return known;
    const made = Array.from({ length: random.below(12) }, (_, index) => `<${id.slice(-3)}.${index}>`);
    texts.set(id, made);
    return made;
  };
  const options = {
    schedule,
    database: shared,
    newId: () => `00000000-0000-7000-${String(seed).padStart(8, '0')}-${String((ids += 1)).padStart(12, '0')}`,
    logger: createLogger({ level: 'warn', destination: { write: tell } }),
    bufferMilliseconds: random.pick([50, 2000, 60_000]),
    maxBytes: random.pick([500, 4_000_000]),
    textsOf,
  };
  let born = 0;
  const birth = () => createInstance(`i${(born += 1)}`, options);
  const instances = [birth(), ...(several ? [birth()] : [])];
  const observers: Observer[] = [];
  /** Calls of the user that are under way. */
  const calls = new Set<Instance[]>();
  let isDeleted = false;

  /** What the user does; refusals are none of this suite's business. */
  function asUser(name: string, work: (instance: Instance) => Promise<unknown>): void {
    const instance = random.pick(instances);
    tell(`${instance.process.name} ${name}`);
    const call = [instance];
    calls.add(call);
    work(instance)
      .then(() => count(name))
      .catch((error: unknown) => {
        if (!(error instanceof ServiceError)) violation(`${name} met ${String(error)}`);
      })
      .finally(() => calls.delete(call))
      .catch(() => undefined);
  }

  function connect(observer: Observer): void {
    const { transcript, name } = observer;
    const instance = random.pick(instances);
    const controller = new AbortController();
    const mine: Connection = { instance, controller, events: null, pulling: true };
    observer.connection = mine;
    tell(`${name} comes to ${instance.process.name} after ${transcript.lastId?.slice(8) ?? 'nothing'}`);
    const { lastId } = transcript;
    transcript.connected();
    /** As a connection has it that has room for as long as it is read. */
    const liveSink = random.chance(0.5) && {
      write(id: string, event: object) {
        if (!mine.pulling) violation(`${name} was sent something past what it is told`);
        if (observer.connection !== mine || random.chance(0.2)) return false;
        tell(`${name} is sent ${id.slice(8)} ${JSON.stringify(event)}`);
        count('sent at once');
        transcript.take(id, event as ObservationEvent);
        return true;
      },
    };
    if (lastId !== null) count('resumption');
    instance.observations
      .observeSession(
        {
          sessionId,
          lastEventId: lastId,
          observer: { userId: 'observer', role: 'supervisor', expiresAt: 4_000_000_000 },
          // The audit log is never cleared.
          requestId: `schedule ${seed}`,
          liveSink: liveSink || null,
        },
        controller.signal,
      )
      .then((events) => Object.assign(mine, { events, pulling: false }))
      .catch((error: unknown) => {
        const isRefusal = error instanceof ServiceError && error.code === 'NOT_FOUND' && isDeleted;
        if (!isRefusal) violation(`${name} was refused: ${String(error)}`);
        observer.connection = null;
        observer.gone = true;
      });
  }

  function pull(observer: Observer): void {
    const mine = observer.connection;
    if (mine === null || mine.pulling || mine.events === null) return;
    mine.pulling = true;
    mine.events
      .next()
      .then((next) => {
        if (observer.connection !== mine) return;
        mine.pulling = false;
        if (next.done === true) {
          observer.connection = null;
          const { deleted, ended } = observer.transcript;
          if (!deleted && !ended) violation(`${observer.name} was let go`);
          return;
        }
        const { id, event } = next.value;
        tell(`${observer.name} gets ${id.slice(8)} ${JSON.stringify(event).slice(0, 60)}`);
        count(event.type === 'observer' ? event.status : event.type);
        observer.transcript.take(id, event);
      })
      .catch((error: unknown) => violation(`${observer.name} met ${String(error)}`));
  }

  function leave(observer: Observer): void {
    tell(`${observer.name} leaves`);
    observer.connection?.controller.abort();
    observer.connection?.events?.return().catch(() => undefined);
    observer.connection = null;
  }

  function kill(): void {
    const victim = random.pick(instances);
    count('kill');
    tell(`${victim.process.name} dies`);
    schedule.kill(victim.process);
    for (const observer of observers) if (observer.connection?.instance === victim) observer.connection = null;
    instances.splice(instances.indexOf(victim), 1, birth());
    for (const call of calls) if (call.includes(victim)) calls.delete(call);
  }

  const user = { userId, sessionId };
  const connected = () => observers.filter(({ connection }) => connection !== null);
  const away = () =>
    observers.filter(({ connection, gone, transcript }) => connection === null && !gone && !transcript.deleted);
  let kills = several ? random.below(3) : 0;
  const mayDelete = random.chance(0.5);
  const actions: readonly (readonly [weight: number, act: () => void])[] = [
    [
      3,
      () =>
        asUser('send', ({ messages }) =>
          messages.startMessage({ ...user, message: 'Go on', plan: 'free', userToken: '' }),
        ),
    ],
    [0.5, () => asUser('stop', ({ messages }) => messages.stopMessage(user))],
    [0.5, () => asUser('update', ({ sessions }) => sessions.updateSession({ ...user, title: `T${ids}` }))],
    [
      1.5,
      () =>
        asUser('delete a message', async ({ messages }) => {
          const rows = await query.select({ id: tables.messages.id }).from(tables.messages);
          if (rows.length > 0) await messages.deleteMessage({ ...user, messageId: random.pick(rows).id });
        }),
    ],
    [
      mayDelete ? 0.15 : 0,
      () =>
        asUser('delete', async ({ sessions }) => {
          isDeleted = true;
          await sessions.deleteSession(user);
        }),
    ],
    [
      2,
      () => {
        if (observers.length >= 5) return;
        const name = `o${observers.length}`;
        const transcript = createTranscript(
          (id) => textsOf(id).join(''),
          (text) => violation(`${name}: ${text}`),
        );
        const observer: Observer = { name, transcript, connection: null, gone: false };
        observers.push(observer);
        connect(observer);
      },
    ],
    [1, () => connected().length > 0 && leave(random.pick(connected()))],
    [2, () => away().length > 0 && connect(random.pick(away()))],
    [12, () => connected().length > 0 && pull(random.pick(connected()))],
    [0.2, () => (kills -= 1) >= 0 && kill()],
    [1, () => schedule.advance(1 + random.below(400))],
    [1, () => void schedule.advanceToNextTimer()],
  ];
  const weights = actions.reduce((sum, [weight]) => sum + weight, 0);

  const steps = 100 + random.below(400);
  for (let step = 0; step < steps; step += 1) {
    if (random.chance(0.4)) {
      let mark = random.fraction() * weights;
      actions.find(([weight]) => (mark -= weight) < 0)?.[1]();
      await schedule.settle();
    } else await schedule.step();
    assertSound();
  }
  await settle(() => away().forEach(connect));
  await checkTruth();
  for (const observer of connected()) leave(observer);
  await settle();
  await checkAudit();
  assertSound();
  return tally;

  async function settle(comeBack = () => {}): Promise<void> {
    const until = schedule.now() + toSettle;
    while (schedule.now() < until || calls.size > 0) {
      comeBack();
      for (const observer of observers) pull(observer);
      await schedule.settle();
      if (!(await schedule.step())) schedule.advanceToNextTimer();
      if (schedule.now() > until + toSettle) violation('the user was never answered');
      assertSound();
    }
  }

  async function checkTruth(): Promise<void> {
    const [session] = await query.select().from(tables.sessions).where(eq(tables.sessions.id, sessionId));
    const stored = await query.select().from(tables.messages).orderBy(asc(tables.messages.sequence));
    const truth = stored.map(toMessage);
    const here = connected();
    for (const { name, transcript, gone, connection } of observers) {
      if (session === undefined) {
        if (!gone && !transcript.deleted) violation(`${name} was not told of the deletion`);
        continue;
      }
      if (connection === null) violation(`${name} is not connected any more`);
      if (!isDeepStrictEqual(transcript.messages, truth)) {
        violation(`${name} knows ${JSON.stringify(transcript.messages)}, stored is ${JSON.stringify(truth)}`);
      }
      if (transcript.status !== 'idle') violation(`${name} takes it for live`);
      if (transcript.observers !== here.length) violation(`${name} counts ${transcript.observers} of ${here.length}`);
    }
  }

  /** Each connection that was told anything has one attach and one detach; an attempt at what is gone has none. */
  async function checkAudit(): Promise<void> {
    const open = await query.select().from(tables.observations);
    if (open.length > 0) violation(`${open.length} observations are still open after ${leaseMilliseconds} ms`);
    const perConnection = new Map<string, string[]>();
    for (const { connectionId, action, subjectId } of await query
      .select()
      .from(tables.auditLog)
      .where(eq(tables.auditLog.requestId, `schedule ${seed}`))) {
      if (connectionId === null) {
        if (subjectId !== null || !isDeleted) violation('an attempt that names no connection');
        continue;
      }
      perConnection.set(connectionId, [...(perConnection.get(connectionId) ?? []), action]);
    }
    for (const [id, found] of perConnection) {
      if (found.toSorted().join() !== 'observe.attach,observe.detach') violation(`${id} has ${found.join()}`);
    }
  }
}
