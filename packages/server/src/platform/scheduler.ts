import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';

export interface ScheduledJob {
  /** For the log. */
  name: string;
  /** Milliseconds from one start to the next; starts that fall into a run are left out. */
  everyMs: number;
  /** Must come to an end soon after the signal aborts: `stop` waits for it. */
  run: (signal: AbortSignal) => Promise<void>;
}

export interface Scheduler extends AsyncDisposable {
  /** Starts the job's first interval. @throws Error once the scheduler is stopped. */
  every(job: ScheduledJob): void;
  /** Starts nothing any more, aborts the signal of what runs, and waits until it has ended. */
  stop(): Promise<void>;
}

/** Runs jobs periodically in this process. A job never overlaps itself; its errors are logged and its rhythm goes on. */
export function createScheduler({ clock, logger }: { clock: Clock; logger: Logger }): Scheduler {
  const stopping = new AbortController();
  const cancels = new Map<ScheduledJob, () => void>();
  const running = new Set<Promise<void>>();

  function wait(job: ScheduledJob, milliseconds: number) {
    cancels.set(
      job,
      clock.after(milliseconds, () => void start(job)),
    );
  }

  async function start(job: ScheduledJob) {
    const startedAt = clock.now();
    const run = runLogged(job);
    running.add(run);
    await run;
    running.delete(run);
    if (stopping.signal.aborted) return;
    const late = Math.max(0, clock.now() - startedAt) % job.everyMs;
    wait(job, job.everyMs - late);
  }

  async function runLogged(job: ScheduledJob) {
    try {
      await job.run(stopping.signal);
    } catch (error) {
      if (stopping.signal.aborted && error === stopping.signal.reason) return;
      logger.error({ err: error, job: job.name }, 'scheduled job failed');
    }
  }

  async function stop() {
    stopping.abort();
    for (const cancel of cancels.values()) cancel();
    cancels.clear();
    await Promise.all(running);
  }

  return {
    every(job) {
      if (stopping.signal.aborted) throw new Error(`scheduler is stopped: ${job.name} cannot start`);
      wait(job, job.everyMs);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
