import type { Clock } from '../../../../src/platform/clock.ts';
import type { Random } from './random.ts';

/** Something that runs, stands still (its work waits, its time goes on) or is dead (its work never goes on). */
export interface Process {
  readonly name: string;
  state: 'running' | 'stopped' | 'dead';
}

interface Task {
  readonly process: Process;
  readonly isReady: () => boolean;
  readonly go: () => void;
}

interface Timer {
  readonly process: Process;
  readonly at: number;
  readonly callback: () => void;
}

/** Decides what happens next: every step of every process goes through here, and chance picks among those that could. */
export interface Schedule {
  now(): number;
  clockOf(process: Process): Clock;
  /** Resolves when chance picks this step of `process`, which it does only while `isReady`. */
  point(process: Process, isReady?: () => boolean): Promise<void>;
  /** Runs one step or one timer that is due; false where there is none. */
  step(): Promise<boolean>;
  advance(milliseconds: number): void;
  /** Moves the hands to the next timer of a process that runs; false where there is none. */
  advanceToNextTimer(): boolean;
  kill(process: Process): void;
  /** Lets everything that can go on without the schedule go on. */
  settle(): Promise<void>;
}

const always = () => true;
const never = new Promise<never>(() => {});

export function createSchedule(random: Random, start = Date.UTC(2026, 0, 1)): Schedule {
  let now = start;
  let tasks: Task[] = [];
  let timers: Timer[] = [];
  const settle = () => new Promise<void>((resolve) => void setImmediate(resolve));
  const runs = ({ process }: { process: Process }) => process.state === 'running';

  return {
    now: () => now,
    clockOf: (process) => ({
      now: () => now,
      after(milliseconds, callback) {
        const timer: Timer = { process, at: now + milliseconds, callback };
        if (process.state !== 'dead') timers.push(timer);
        return () => {
          timers = timers.filter((other) => other !== timer);
        };
      },
    }),
    point(process, isReady = always) {
      if (process.state === 'dead') return never;
      return new Promise((go) => void tasks.push({ process, isReady, go }));
    },
    async step() {
      const ready = tasks.filter((task) => runs(task) && task.isReady());
      // The timers of one process fire in order, as those of an event loop do.
      const due = new Map<Process, Timer>();
      for (const timer of timers) {
        if (timer.at > now || !runs(timer)) continue;
        const first = due.get(timer.process);
        if (first === undefined || timer.at < first.at) due.set(timer.process, timer);
      }
      const choice = random.below(ready.length + due.size);
      const task = ready[choice];
      const timer = [...due.values()][choice - ready.length];
      if (task !== undefined) {
        tasks.splice(tasks.indexOf(task), 1);
        task.go();
      } else if (timer !== undefined) {
        timers.splice(timers.indexOf(timer), 1);
        timer.callback();
      } else return false;
      await settle();
      return true;
    },
    advance(milliseconds) {
      now += milliseconds;
    },
    advanceToNextTimer() {
      const next = Math.min(...timers.filter(runs).map(({ at }) => at));
      if (!Number.isFinite(next)) return false;
      now = Math.max(now, next);
      return true;
    },
    kill(process) {
      process.state = 'dead';
      tasks = tasks.filter((task) => task.process !== process);
      timers = timers.filter((timer) => timer.process !== process);
    },
    settle,
  };
}
