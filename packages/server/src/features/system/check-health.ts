import type { HealthOutput } from '@chat-service/shared/system-api';
import type { Clock } from '../../platform/clock.ts';

export type HealthStatus = HealthOutput['status'];
export type HealthCheck = () => Promise<HealthStatus>;
export type CheckHealth = () => Promise<HealthOutput>;

export interface CheckHealthOptions {
  /** By name. Without `database` nothing is served, so that it decides alone over `unavailable`; others only degrade. */
  checks: Readonly<Record<string, HealthCheck>>;
  isShuttingDown: () => boolean;
  version: string;
  clock: Clock;
}

/** Probes come from many sides; the database is asked once in this time, whoever asks. */
const cacheMs = 1_000;
/** A check that takes longer counts as `unavailable`. */
const timeoutMs = 2_000;

/** How the service is, judged at most once a second. Never throws: a check that does counts as `unavailable`. */
export function createCheckHealth({ checks, isShuttingDown, version, clock }: CheckHealthOptions): CheckHealth {
  /** Checks that have not answered yet: one that hangs is not asked again and again. */
  const unanswered = new Map<string, Promise<HealthStatus>>();
  let cached: { at: number; statuses: Promise<Array<readonly [string, HealthStatus]>> } | undefined;

  function ask(name: string, check: HealthCheck): Promise<HealthStatus> {
    const pending = unanswered.get(name);
    if (pending !== undefined) return pending;
    const answer = Promise.resolve()
      .then(check)
      .catch((): HealthStatus => 'unavailable')
      .finally(() => unanswered.delete(name));
    unanswered.set(name, answer);
    return answer;
  }

  async function askBounded(name: string, check: HealthCheck): Promise<readonly [string, HealthStatus]> {
    const { promise: timeout, resolve } = Promise.withResolvers<HealthStatus>();
    const cancel = clock.after(timeoutMs, () => resolve('unavailable'));
    const status = await Promise.race([ask(name, check), timeout]);
    cancel();
    return [name, status];
  }

  return async () => {
    const now = clock.now();
    if (cached === undefined || now - cached.at >= cacheMs || now < cached.at) {
      cached = {
        at: now,
        statuses: Promise.all(Object.entries(checks).map(([name, check]) => askBounded(name, check))),
      };
    }
    const statuses = await cached.statuses;
    return {
      status: isShuttingDown() ? 'unavailable' : overall(statuses),
      version,
      timestamp: new Date(clock.now()).toISOString(),
      checks: Object.fromEntries(statuses.map(([name, status]) => [name, { status }])),
    };
  };
}

function overall(statuses: ReadonlyArray<readonly [string, HealthStatus]>): HealthStatus {
  if (statuses.some(([name, status]) => name === 'database' && status === 'unavailable')) return 'unavailable';
  return statuses.every(([, status]) => status === 'ok') ? 'ok' : 'degraded';
}
