import type { GenerationEvent } from '@chat-service/shared/events';
import type { Parameters } from '@chat-service/shared/objects';
import { isDeepStrictEqual } from 'node:util';
import { createMemoryLog } from '../../../../src/features/generations/memory-log.ts';
import { toMessage } from '../../../../src/features/generations/message-row.ts';
import { createLogger, type Logger } from '../../../../src/platform/logger.ts';
import { ServiceError } from '../../../../src/platform/service-error.ts';
import { createInstance, leaseMilliseconds, type Instance } from './instance.ts';
import { createRandom, type Random } from './random.ts';
import { createReader, type Approach, type KnownGeneration, type Reader } from './reader.ts';
import { DatabaseAway, userId, type Rows } from './rows.ts';
import { createSchedule, type Process, type Schedule } from './schedule.ts';
import { textAt, writeScript, type Script } from './script.ts';

/** How often a run has met what it is about, by name, so that a suite can tell that it tries what it means to try. */
export type Tally = Record<string, number>;

/** One call that waits for the end without watching. */
interface Waiter {
  readonly generation: KnownGeneration;
  instance: Instance | null;
  done: boolean;
}

const sessionIds = ['00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002'] as const;
/** More than any run has been seen to need: what is not over by then hangs. */
const mostSteps = 20_000;
/** Time on the clock of the run: for leases to run out, for a database to be waited for; then for everyone to be told. */
const mostMilliseconds = { forGenerations: 60_000, forReaders: 10_000 };
const traceLines = 400;

/**
 * Plays one schedule that the seed decides: instances that run generations, stand still, die and take over; readers that
 * come, stall, are cut and resume.
 * @throws Error with the seed and what happened, when a reader was told anything but the truth, or was not told the end
 */
export async function playSchedule(
  seed: number,
  createRows: (schedule: Schedule, random: Random) => Rows | Promise<Rows>,
): Promise<Tally> {
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

  const logger = watchLog((line) => {
    tell(line);
    // Whatever goes wrong with a database that is away is to be expected.
    if (line.includes('fault of our own') && !line.includes('DatabaseAway')) violation(line);
  });
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

  const wild = random.fraction();
  const budget = {
    generations: 1 + random.below(3),
    readers: 1 + random.below(7),
    waiters: random.below(3),
    kills: random.below(3),
    standstills: random.below(3),
    stops: random.below(2),
    outages: random.chance(0.25) ? 1 : 0,
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
  const usedSessions = sessionIds.slice(0, 1 + random.below(2));
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
      const prompt = { messages: [], parameters: {} as Parameters, promptTokens: 1, maxTokens: 9, prices: {} };
      instance.run(await instance.admit(claim, 'question', { ...prompt, answeredMessageId: null }));
    } catch (error) {
      const refusal = error instanceof ServiceError ? error : new ServiceError('INTERNAL', { cause: error });
      await instance.refuse({ id, fence: claim.fence, sessionId }, refusal);
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

  function await_(waiter: Waiter): void {
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

  const open = () => readers.filter(({ outcome, instance }) => outcome === null && instance === null);
  const pullable = () => readers.filter(({ canPull }) => canPull);

  interface Action {
    readonly weight: number;
    readonly isPossible: () => boolean;
    readonly act: () => void;
  }
  const spend = (name: keyof typeof budget) => void (budget[name] -= 1);
  const actions: Action[] = [
    { weight: 10, isPossible: () => pullable().length > 0, act: () => random.pick(pullable()).pull() },
    {
      weight: 2,
      isPossible: () => budget.generations > 0 && running().some((instance) => !starting.has(instance)),
      act() {
        spend('generations');
        const instance = random.pick(running().filter((candidate) => !starting.has(candidate)));
        starting.add(instance);
        const sessionId = random.pick(usedSessions);
        start(instance, sessionId)
          .catch((error: unknown) => {
            if (!(error instanceof DatabaseAway)) violation(`a start met ${String(error)}`);
          })
          .finally(() => starting.delete(instance))
          .catch(() => undefined);
      },
    },
    {
      weight: 2,
      isPossible: () => budget.readers > 0 && generations.length > 0,
      act() {
        spend('readers');
        const approach = random.pick(['named', 'named', 'named', 'latest', 'unreadable', 'foreign'] as const);
        join(random.pick(generations), random.pick(running()), approach);
      },
    },
    {
      weight: 1,
      isPossible: () => budget.waiters > 0 && generations.length > 0,
      act() {
        spend('waiters');
        const waiter: Waiter = { generation: random.pick(generations), instance: null, done: false };
        waiters.push(waiter);
        await_(waiter);
      },
    },
    { weight: 3, isPossible: () => open().length > 0, act: () => reconnect(random.pick(open())) },
    {
      weight: 1.5 * wild,
      isPossible: () => readers.some(({ instance }) => instance !== null),
      act: () => random.pick(readers.filter(({ instance }) => instance !== null)).cut(),
    },
    {
      weight: wild,
      isPossible: () => budget.kills > 0 && generations.length > 0,
      act() {
        spend('kills');
        kill(random.pick(instances));
        if (running().length === 0) addInstance();
      },
    },
    {
      weight: wild,
      isPossible: () => budget.standstills > 0 && running().length > 1,
      act() {
        spend('standstills');
        count('standstill');
        const { process } = random.pick(running());
        tell(`${process.name} stands still`);
        process.state = 'stopped';
      },
    },
    {
      weight: 0.3,
      isPossible: () => instances.some(({ process }) => process.state === 'stopped'),
      act() {
        const { process } = random.pick(instances.filter((instance) => instance.process.state === 'stopped'));
        tell(`${process.name} goes on`);
        process.state = 'running';
      },
    },
    {
      weight: 0.5,
      isPossible: () => budget.stops > 0 && generations.length > 0,
      act() {
        spend('stops');
        const { id, sessionId } = random.pick(generations);
        tell(`stop ${id.slice(-2)}`);
        random
          .pick(running())
          .stop({ sessionId, generationId: id, by: 'user' })
          .catch((error: unknown) => {
            if (!(error instanceof DatabaseAway || error instanceof ServiceError)) violation(String(error));
          });
      },
    },
    {
      weight: 0.5,
      isPossible: () => rows.faulty || (budget.outages > 0 && generations.length > 0),
      act() {
        if (!rows.faulty) {
          spend('outages');
          count('outage');
        }
        rows.faulty = !rows.faulty;
        tell(`the database ${rows.faulty ? 'goes away' : 'is back'}`);
      },
    },
    { weight: 0.6, isPossible: () => true, act: () => schedule.advance(1 + random.below(400)) },
    { weight: 1, isPossible: () => true, act: () => void schedule.advanceToNextTimer() },
    { weight: 0.05, isPossible: () => true, act: () => schedule.advance(leaseMilliseconds) },
  ];

  function actAtRandom(): void {
    const possible = actions.filter(({ isPossible }) => isPossible());
    let mark = random.fraction() * possible.reduce((sum, { weight }) => sum + weight, 0);
    const action = possible.find(({ weight }) => (mark -= weight) < 0);
    action?.act();
  }

  function assertSound(): void {
    if (violations.length === 0) return;
    throw new Error(`Schedule ${seed}: ${violations.join('; ')}\n${trace.slice(-traceLines).join('\n')}`);
  }

  /** Everything comes to its end by itself, once nothing more goes wrong. */
  async function finish(): Promise<void> {
    rows.faulty = false;
    for (const { process } of instances) process.state = 'running';
    let until = schedule.now() + mostMilliseconds.forGenerations;
    let haveEnded = false;
    for (let steps = 0; ; steps += 1) {
      assertSound();
      if (steps % 8 === 0) {
        const live = await unfinishedGenerations();
        if (live.length === 0 && starting.size === 0 && !haveEnded) {
          haveEnded = true;
          until = schedule.now() + mostMilliseconds.forReaders;
        }
        const left = [...live, ...unfinishedReaders()];
        if (left.length === 0 && starting.size === 0) return;
        if (steps > mostSteps || schedule.now() > until) violation(`no end for ${left.join(', ')}`);
      }
      for (const reader of open()) if (random.chance(0.2)) reconnect(reader);
      for (const reader of pullable()) if (random.chance(0.5)) reader.pull();
      for (const waiter of waiters) if (waiter.instance === null && !waiter.done) await_(waiter);
      await schedule.settle();
      if (!(await schedule.step())) schedule.advanceToNextTimer();
    }
  }

  function unfinishedReaders(): string[] {
    const left = readers.filter(({ outcome }) => outcome === null).map(({ name }) => name);
    for (const { generation, done } of waiters) if (!done) left.push(`a waiter for ${generation.id}`);
    return left;
  }

  async function unfinishedGenerations(): Promise<string[]> {
    const left: string[] = [];
    for (const { id } of generations) {
      const status = (await rows.generation(id))?.status;
      if (status === undefined || status === 'reserving' || status === 'running') left.push(id);
    }
    return left;
  }

  /** Who comes back with the id of the end is told nothing more. */
  async function comeBack(): Promise<void> {
    const ended = readers.filter(({ outcome }) => outcome === 'ended');
    for (const reader of ended) {
      reader.comeBack();
      reader.connect(random.pick(running()), random.pick(['resume', 'resume-named'] as const));
      reader.pull();
    }
    for (let steps = 0; ended.some(({ instance }) => instance !== null); steps += 1) {
      if (steps > mostSteps) violation('who came back after the end was not let go');
      assertSound();
      if (!(await schedule.step())) schedule.advanceToNextTimer();
    }
  }

  async function checkRows(): Promise<void> {
    for (const { id, claimFence, script } of generations) {
      const row = await rows.generation(id);
      const status = row?.status ?? 'gone';
      count(status);
      if (row === null || status === 'refused') continue;
      const content = (await rows.message(id))?.content ?? '';
      const whole = script.texts.join('');
      if (!whole.startsWith(content)) violation(`${id} is stored as ${content}, which is not what the model said`);
      if (row.fence === claimFence && content !== textAt(script, row.textNumber))
        violation(`${id}: text and place differ`);
      if (!content.startsWith(await rows.checkpointed(id))) violation(`${id} has lost text that was stored`);
      if (status === 'complete' && content !== whole) violation(`${id} is complete without all of its text`);
      if (row.fence > claimFence) count('take-over');
      if ((await rows.segmentText(id)) !== null) violation(`${id} has left text beside its message`);
    }
  }

  const steps = 60 + random.below(240);
  for (let step = 0; step < steps; step += 1) {
    if (random.chance(0.3)) {
      actAtRandom();
      await schedule.settle();
    } else await schedule.step();
    assertSound();
  }
  await finish();
  for (const generation of generations) {
    if (random.chance(0.5)) join(generation, random.pick(running()), random.pick(['named', 'unreadable'] as const));
  }
  await finish();
  await comeBack();
  await checkRows();
  assertSound();
  return tally;
}

function watchLog(write: (line: string) => void): Logger {
  return createLogger({ level: 'error', destination: { write } });
}
