import { ServiceError } from '../../../../src/platform/service-error.ts';
import { leaseMilliseconds } from './instance.ts';
import { DatabaseAway } from './rows.ts';
import type { Waiter, World } from './world.ts';

interface Action {
  readonly weight: number;
  readonly isPossible: () => boolean;
  readonly act: () => void;
}

/** What users, networks and machines do to the service: each call does one of the things that could happen now. */
export function createActions(world: World): () => void {
  const { random, schedule, rows, instances, generations, readers, waiters, starting, usedSessions } = world;
  const {
    tell,
    count,
    violation,
    running,
    start,
    join,
    reconnect,
    awaitEnd,
    kill,
    addInstance,
    disconnected,
    pullable,
  } = world;
  /** From a quiet day to one on which everything breaks. */
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
        awaitEnd(waiter);
      },
    },
    { weight: 3, isPossible: () => disconnected().length > 0, act: () => reconnect(random.pick(disconnected())) },
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

  return function actAtRandom() {
    const possible = actions.filter(({ isPossible }) => isPossible());
    let mark = random.fraction() * possible.reduce((sum, { weight }) => sum + weight, 0);
    const action = possible.find(({ weight }) => (mark -= weight) < 0);
    action?.act();
  };
}
