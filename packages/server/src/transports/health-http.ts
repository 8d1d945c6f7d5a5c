import { Hono } from 'hono';
import type { HealthOutput } from '@chat-service/shared/system-api';
import type { Clock } from '../platform/clock.ts';

export interface HealthHttpOptions {
  /** What `system.health` says. */
  readonly health: () => Promise<HealthOutput>;
  readonly version: string;
  readonly clock: Clock;
  readonly isDraining: () => boolean;
}

/** The health paths: without authentication, outside all limits. `/live` asks nothing but whether the process answers. */
export function createHealthHttp({ health, version, clock, isDraining }: HealthHttpOptions): Hono {
  const noStore = { 'Cache-Control': 'no-store' };

  function own(status: HealthOutput['status']): HealthOutput {
    return { status, version, timestamp: new Date(clock.now()).toISOString(), checks: {} };
  }

  async function readiness(): Promise<Response> {
    const found = await health().catch(() => own('unavailable'));
    const answer: HealthOutput = isDraining() ? { ...found, status: 'unavailable' } : found;
    return Response.json(answer, { status: answer.status === 'unavailable' ? 503 : 200, headers: noStore });
  }

  return new Hono()
    .get('/', readiness)
    .get('/ready', readiness)
    .get('/live', () => Response.json(own('ok'), { headers: noStore }));
}
