import { isDeepStrictEqual } from 'node:util';
import type { GenerationEvent } from '@chat-service/shared/events';
import { createMemoryLog } from '../../../../src/features/generations/memory-log.ts';
import { toMessage } from '../../../../src/features/generations/message-row.ts';
import { createLogger } from '../../../../src/platform/logger.ts';
import { ServiceError } from '../../../../src/platform/service-error.ts';
import { createInstance, leaseMilliseconds, type Instance } from './instance.ts';
import { createRandom, type Random } from './random.ts';
import { createReader, type Approach, type KnownGeneration, type Reader } from './reader.ts';
import { DatabaseAway, userId, type Rows } from './rows.ts';
import { createSchedule, type Process, type Schedule } from './schedule.ts';
import { writeScript, type Script } from './script.ts';

/** How often a run has met what it is about, by name, so that a suite can tell that it tries what it means to try. */
export type Tally = Record<string, number>;

export type CreateRows = (schedule: Schedule, random: Random) => Rows | Promise<Rows>;

/** One call that waits for the end without watching. */
export interface Waiter {
  readonly generation: KnownGeneration;
  instance: Instance | null;
  done: boolean;
}

const sessionIds = ['00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002'] as const;
const traceLines = 400;

/** What one run consists of, and what can be done in it. */
export type World = Awaited<ReturnType<typeof createWorld>>;

/** @throws what `createRows` throws */
export async function createWorld(seed: number, createRows: CreateRows) {
  const random = createRandom(seed);
  const schedule = createSchedule(random);
  const rows = await createRows(schedule, random);
  const trace: string[] = [];
  const violations: string[] = [];
  const tell = (line: string) => void trace.push(`${schedule.now() % 1e8} ${line}`);
  const violation = (text: string) => {
    tell(`VIOLATION ${text}`);
    violations.push(text);
  };
  const tally: Tally = {};
  const count = (name: string) => void (tally[name] = (tally[name] ?? 0) + 1);

  const watchLog = (line: string) => {
    tell(line);
    // Whatever goes wrong with a database that is away is to be expected.
    if (line.includes('fault of our own') && !line.includes('DatabaseAway')) violation(line);
  };
  const logger = createLogger({ level: 'error', destination: { write: watchLog } });
  const scripts = new Map<string, Script>();
  const bufferMilliseconds = random.pick([50, 2000, 60_000]);
  const maxBytes = random.pick([500, 1500, 4_000_000]);
  const remote: Process = { name: 'shared-log', state: 'running' };
  const shared = createMemoryLog({ clock: schedule.clockOf(remote), bufferMilliseconds, maxBytes });
  let ids = 0;
  const options = {
    schedule,
    rows,
    logger,
    newId: () => `00000000-0000-7000-9000-${String((ids += 1)).padStart(12, '0')}`,
    refused: () => count('refused end'),
    scriptOf: (id: string) => scripts.get(id) ?? { texts: [], end: 'silent' as const },
    bufferMilliseconds,
    maxBytes,
    sharedLog: random.chance(0.3) ? shared : null,
    remoteLog: random.chance(0.3),
  };

  const instances: Instance[] = [];
  const generations: KnownGeneration[] = [];
  const readers: Reader[] = [];
  const waiters: Waiter[] = [];
  /** Those that are in the middle of a claim. */
  const starting = new Set<Instance>();

  let born = 0;
  const addInstance = () => void instances.push(createInstance(`i${(born += 1)}`, options));
  const running = () => instances.filter(({ process }) => process.state === 'running');
  const usedSessions: readonly string[] = sessionIds.slice(0, 1 + random.below(2));
  for (const sessionId of usedSessions) await rows.addSession(sessionId);
  addInstance();
  if (random.chance(0.7)) addInstance();

  /** Claims, admits and runs, as a send does; a reader may be there from the claim on. */
  async function start(instance: Instance, sessionId: string): Promise<void> {
    const { database, store } = instance;
    const id = options.newId();
    const script = writeScript(random, id.slice(-2));
    const claim = await database.transaction(async (tx) => {
      const session = await store.lockSession(tx, sessionId, userId);
      const live = await store.findLive(tx, sessionId);
      if (session === null || live !== null) return live?.expired === true ? live.row.id : null;
      const fence = await store.raiseFence(tx, sessionId);
      const createdAt = new Date(schedule.now());
      const values = { id, sessionId, userId, owner: instance.instanceId, modelId: 'model', createdAt, fence };
      await store.insertClaim(tx, values, leaseMilliseconds);
      return { id, fence, session, userId, modelId: 'model' };
    });
    if (typeof claim === 'string') return void (await instance.recover(claim));
    if (claim === null) return;
    scripts.set(id, script);
    const generation: KnownGeneration = { id, sessionId, claimFence: claim.fence, script };
    generations.push(generation);
    tell(`${instance.process.name} claims ${id.slice(-2)}: ${script.texts.length} texts, then ${script.end}`);
    if (random.chance(0.6)) join(generation, instance, 'claimed');
    try {
      if (random.chance(0.05)) throw new ServiceError('MODEL_UNAVAILABLE');
      await schedule.point(instance.process);
      const limits = { promptTokens: 1, countedExactly: true, maxTokens: 10_000 };
      const prompt = { messages: [], parameters: {}, ...limits, prices: {}, answeredMessageId: null };
      const hold = { held: null, holdId: null, periods: null };
      const reservation = { hold, plan: 'free', maxTokens: limits.maxTokens, quotaTokens: 0 };
      instance.run(await instance.admit(claim, 'question', prompt, reservation));
    } catch (error) {
      const refusal = error instanceof ServiceError ? error : new ServiceError('INTERNAL', { cause: error });
      await instance.refuse({ id, fence: claim.fence, userId, sessionId }, refusal, { mayBeHeld: false });
    }
  }

  function join(generation: KnownGeneration, instance: Instance, approach: Approach): void {
    const reader = createReader(`r${readers.length}`, generation, { rows, trace: tell, violation, delivered });
    readers.push(reader);
    reader.connect(instance, approach);
  }

  function delivered(type: GenerationEvent['type']): void {
    count('event');
    if (type === 'resync') count(type);
  }

  function reconnect(reader: Reader): void {
    count('resumption');
    const approach = reader.hasText
      ? random.pick(['resume', 'resume', 'resume-named', 'resume-named', 'unreadable', 'foreign'] as const)
      : random.pick(['named', 'named', 'latest', 'unreadable'] as const);
    reader.connect(random.pick(running()), approach);
  }

  function awaitEnd(waiter: Waiter): void {
    const instance = random.pick(running());
    waiter.instance = instance;
    const { generation } = waiter;
    const isCurrent = () => waiter.instance === instance && instance.process.state !== 'dead';
    instance
      .awaitGeneration(generation, 'ended')
      .then(async ({ message }) => {
        if (!isCurrent()) return;
        waiter.done = true;
        const stored = await rows.message(generation.id);
        if (stored === null || !isDeepStrictEqual(message, toMessage(stored))) violation('a waiter got another end');
      })
      .catch(async (error: unknown) => {
        if (!isCurrent()) return;
        waiter.instance = null;
        if (error instanceof DatabaseAway) return;
        waiter.done = true;
        const row = await rows.generation(generation.id);
        if (row?.status !== 'refused') violation(`a waiter met ${String(error)}`);
      });
  }

  function kill(instance: Instance): void {
    count('kill');
    tell(`${instance.process.name} dies`);
    schedule.kill(instance.process);
    rows.forget(instance.process);
    starting.delete(instance);
    for (const reader of readers) if (reader.instance === instance) reader.cut();
    for (const waiter of waiters) if (waiter.instance === instance) waiter.instance = null;
    instances.splice(instances.indexOf(instance), 1);
    addInstance();
  }

  function assertSound(): void {
    if (violations.length === 0) return;
    throw new Error(`Schedule ${seed}: ${violations.join('; ')}\n${trace.slice(-traceLines).join('\n')}`);
  }

  return {
    random,
    schedule,
    rows,
    tally,
    usedSessions,
    instances,
    generations,
    readers,
    waiters,
    starting,
    tell,
    count,
    violation,
    addInstance,
    running,
    start,
    join,
    reconnect,
    awaitEnd,
    kill,
    assertSound,
    /** Readers that have no connection and are not at their end. */
    disconnected: () => readers.filter(({ outcome, instance }) => outcome === null && instance === null),
    pullable: () => readers.filter(({ canPull }) => canPull),
  };
}
