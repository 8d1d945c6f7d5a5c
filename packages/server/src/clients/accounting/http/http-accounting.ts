import type { Database } from '../../../db/database.ts';
import { createCircuitBreaker } from '../../../platform/circuit-breaker.ts';
import type { Clock } from '../../../platform/clock.ts';
import type { NewId } from '../../../platform/ids.ts';
import type { Logger } from '../../../platform/logger.ts';
import type { Accounting } from '../accounting.ts';
import { createLedgerStore } from '../embedded/ledger-store.ts';
import { createQuotaStore } from '../embedded/quota-store.ts';
import { createSettleHold } from '../embedded/settle-hold.ts';
import { createAskService } from './ask-service.ts';
import { createCallService } from './call-service.ts';
import { createCheckCredit } from './check-credit.ts';
import { createDeliverOutbox } from './deliver-outbox.ts';
import { createDeliverRow, type DeliveryProbe } from './deliver-row.ts';
import { createOutboxStore, type OutboxStats } from './outbox-store.ts';
import { createReadBalance } from './read-balance.ts';
import { createSendDelivery } from './send-delivery.ts';
import { createSettleByOutbox } from './settle-by-outbox.ts';
import { createSettleWithHolder } from './settle-with-holder.ts';

export interface HttpAccountingOptions {
  readonly database: Database;
  /** The service's address, to which `/api/…` is appended. */
  readonly url: string;
  readonly token: string | undefined;
  /** No answer to a check counts as yes. */
  readonly failOpen: boolean;
  /** How long a hold lasts that nobody ends: longer than any generation. */
  readonly holdSeconds: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly newId: NewId;
  readonly instanceId: string;
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** From 0 to 1, for the jitter of pauses. @default Math.random */
  readonly random?: (() => number) | undefined;
  /** Told the moments of each delivery. */
  readonly probe?: DeliveryProbe | undefined;
}

/** An Accounting Service over HTTP, and the outbox through which it is told what was used. */
export interface HttpAccounting extends Accounting, AsyncDisposable {
  readonly kind: 'http';
  /** To be called every second: delivers what is due. Resolves soon after the signal aborts. @throws what the database throws */
  deliverDue(signal: AbortSignal): Promise<void>;
  /** To be called after the commit of what was settled or released: it need not wait for the next second. */
  nudge(): void;
  outboxStats(): Promise<OutboxStats>;
  /** `degraded` from several failures in a row until an answer. Asks nobody. */
  reachability(): 'ok' | 'degraded';
}

/** Failures in a row that open a circuit. */
const threshold = 5;
/** Milliseconds for which it then stays open. */
const restMs = 5_000;

/** Disposing ends the deliveries under way, whose rows stay. */
export function createHttpAccounting(options: HttpAccountingOptions): HttpAccounting {
  const { database, url, token, failOpen, holdSeconds, clock, logger, newId, instanceId } = options;
  const { fetch = globalThis.fetch, random = Math.random, probe = () => undefined } = options;
  const createBreaker = (calls: string) =>
    createCircuitBreaker({
      clock,
      threshold,
      rest: restMs,
      onOpen: () => logger.error({ calls }, 'The Accounting Service keeps failing and is not called for a while.'),
    });
  const checkBreaker = createBreaker('check');
  const recordBreaker = createBreaker('record');

  const callService = createCallService({ url, token, clock, fetch });
  const askService = createAskService({ callService, clock, random });
  const outbox = createOutboxStore(database);
  const service = createSettleByOutbox({ database, outbox, newId });
  const ledger = createSettleHold({
    ledger: createLedgerStore(database),
    quotas: createQuotaStore(database),
    service,
    logger,
  });
  const checks = createCheckCredit({ askService, breaker: checkBreaker, failOpen, holdSeconds, logger });
  const sendDelivery = createSendDelivery({ callService });
  const deliverRow = createDeliverRow({
    outbox,
    sendDelivery,
    breaker: recordBreaker,
    logger,
    newId,
    instanceId,
    random,
    probe,
  });
  const delivery = createDeliverOutbox({ outbox, deliverRow, isResting: recordBreaker.isOpen, logger });

  return {
    kind: 'http',
    check: checks.check,
    checkSession: checks.checkSession,
    // The service counts for itself.
    countSession: () => Promise.resolve({ kind: 'granted' }),
    ...createSettleWithHolder({ ledger, service }),
    balance: createReadBalance({ askService, breaker: checkBreaker }),
    deliverDue: delivery.deliverDue,
    nudge: delivery.nudge,
    outboxStats: outbox.stats,
    reachability: () => (checks.unanswered() >= threshold || recordBreaker.isTripped() ? 'degraded' : 'ok'),
    [Symbol.asyncDispose]: delivery.stop,
  };
}
