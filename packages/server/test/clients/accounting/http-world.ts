import { onTestFinished } from 'vitest';
import {
  startFakeAccounting,
  type FakeAccounting,
  type FakeFault,
} from '../../../../../apps/e2e/src/fake-accounting.ts';
import type { Charge, CreditCheck, Hold, Release } from '../../../src/clients/accounting/accounting.ts';
import {
  createHttpAccounting,
  type HttpAccounting,
  type HttpAccountingOptions,
} from '../../../src/clients/accounting/http/http-accounting.ts';
import type { Database } from '../../../src/db/database.ts';
import type { Clock } from '../../../src/platform/clock.ts';
import { newUuid } from '../../../src/platform/ids.ts';
import { createRecordingLogger, type RecordingLogger } from '../providers/provider-world.ts';

/** Short waits, as between tries, pass by themselves and move the hands; longer ones, as limits of time, are the test's. */
export interface SteppedClock extends Clock {
  /** Milliseconds of the waits that passed by themselves. */
  readonly pauses: readonly number[];
  advance(milliseconds: number): void;
}

const shortest = 1_000;

export function createSteppedClock(): SteppedClock {
  let now = Date.UTC(2026, 10, 22);
  const timers = new Set<{ at: number; callback: () => void }>();
  const pauses: number[] = [];
  return {
    pauses,
    now: () => now,
    after(milliseconds, callback) {
      const timer = { at: now + milliseconds, callback };
      timers.add(timer);
      const pass = () => {
        if (!timers.delete(timer)) return;
        pauses.push(milliseconds);
        now = Math.max(now, timer.at);
        callback();
      };
      if (milliseconds < shortest) setImmediate(pass);
      return () => void timers.delete(timer);
    },
    advance(milliseconds) {
      now += milliseconds;
      for (const timer of [...timers]) if (timer.at <= now && timers.delete(timer)) timer.callback();
    },
  };
}

export const userToken = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl';
export const serviceToken = 'service-to-service';

export interface HttpWorld {
  readonly fake: FakeAccounting;
  readonly clock: SteppedClock;
  readonly log: RecordingLogger;
  readonly database: Database;
  readonly accounting: HttpAccounting;
  /** Another instance of the service, before the same fake and on the same database. */
  another(changes?: Partial<HttpAccountingOptions>): HttpAccounting;
}

/** The port before a fake service; gone when the test ends. */
export async function createHttpWorld(
  database: Database,
  changes: Partial<HttpAccountingOptions> = {},
): Promise<HttpWorld> {
  const fake = await startFakeAccounting({ token: serviceToken });
  onTestFinished(() => fake[Symbol.asyncDispose]());
  const clock = createSteppedClock();
  const log = createRecordingLogger();
  const another = (more: Partial<HttpAccountingOptions> = {}) => {
    const accounting = createHttpAccounting({
      database,
      url: fake.url,
      token: serviceToken,
      failOpen: false,
      holdSeconds: 900,
      clock,
      logger: log.logger,
      newId: newUuid,
      instanceId: newUuid(),
      random: () => 0.5,
      ...changes,
      ...more,
    });
    onTestFinished(() => accounting[Symbol.asyncDispose]());
    return accounting;
  };
  return { fake, clock, log, database, accounting: another(), another };
}

export function checkOf(changes: Partial<CreditCheck> = {}): CreditCheck {
  return {
    usageId: newUuid(),
    userId: 'alice',
    plan: 'free',
    userToken,
    sessionId: 'session',
    modelId: 'model',
    estimate: { inputTokens: 10, outputTokens: 100, credits: 1_500_000 },
    ...changes,
  };
}

const hold: Hold = { held: 1_500_000, holdId: null, periods: null };

export function chargeOf(usageId: string, changes: Partial<Charge> = {}): Charge {
  return {
    usageId,
    userId: 'alice',
    sessionId: 'session',
    modelId: 'model',
    hold,
    quotaTokens: 110,
    inputTokens: 10,
    outputTokens: 20,
    credits: 250_001,
    absorbed: 0,
    outcome: 'complete',
    computeMilliseconds: 1_000,
    occurredAt: new Date('2026-11-22T10:00:00.000Z'),
    ...changes,
  };
}

export function releaseOf(usageId: string, changes: Partial<Release> = {}): Release {
  return { usageId, userId: 'alice', hold, quotaTokens: 110, ...changes };
}

/** What a signal is where nobody aborts. */
export const never = () => new AbortController().signal;

/** What `promise` rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it resolved');
}

/** A status, with a body that nobody is to see. */
export function refusing(status: number): FakeFault {
  return { done: false, answer: { status, body: { error: 'upstream-secret' } } };
}
