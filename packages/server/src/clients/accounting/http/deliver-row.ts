import type { CircuitBreaker } from '../../../platform/circuit-breaker.ts';
import type { NewId } from '../../../platform/ids.ts';
import type { Logger } from '../../../platform/logger.ts';
import type { DueDelivery, LeasedDelivery, OutboxStore } from './outbox-store.ts';
import type { DeliveryOutcome, SendDelivery } from './send-delivery.ts';

/** `delivering`: its row is committed and leased, the service is called next. `delivered`: the service has answered, the row is still there. */
export type DeliveryPoint = 'delivering' | 'delivered';

/** Called at each of these moments; what it never returns from is as if the process died there. */
export type DeliveryProbe = (point: DeliveryPoint, usageId: string) => void | Promise<void>;

export interface DeliverRowOptions {
  readonly outbox: OutboxStore;
  readonly sendDelivery: SendDelivery;
  readonly breaker: CircuitBreaker;
  readonly logger: Logger;
  readonly newId: NewId;
  readonly instanceId: string;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly probe: DeliveryProbe;
}

/** `resting`: the circuit is open and the row untouched. `taken`: another delivery was faster. */
export type RowResult = 'handled' | 'taken' | 'resting';

/** Takes one row in hand and delivers it, once. @throws what the database throws; the signal's reason once it has aborted */
export type DeliverRow = (row: DueDelivery, signal: AbortSignal) => Promise<RowResult>;

/** Milliseconds. A call takes 2 s at most; the rest is for a process that was not let run. */
const leaseMs = 30_000;
const firstPauseMs = 1_000;
const longestPauseMs = 5 * 60_000;
/** What the service itself may ask for. */
const longestRetryAfterMs = 60 * 60_000;
const refusalsUntilParked = 10;

export function createDeliverRow(options: DeliverRowOptions): DeliverRow {
  const { outbox, sendDelivery, breaker, logger, newId, instanceId, random, probe } = options;

  function pauseAfter(attempts: number, retryAfter = 0): number {
    const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempts - 1, 30));
    return Math.max(Math.round(pause * (0.5 + random() / 2)), Math.min(retryAfter, longestRetryAfterMs));
  }

  async function refused(delivery: LeasedDelivery, status: number): Promise<void> {
    const { usageId, attempts } = delivery;
    const changes = { lastStatus: status, refusals: delivery.refusals + 1 };
    const fields = { usageId, kind: delivery.body.kind, status, refusals: changes.refusals };
    if (changes.refusals >= refusalsUntilParked) {
      await outbox.park(delivery, changes);
      logger.error(fields, 'The Accounting Service refuses a delivery again and again: it is parked.');
      return;
    }
    await outbox.postpone(delivery, pauseAfter(attempts), changes);
    logger.warn(fields, 'The Accounting Service refuses a delivery.');
  }

  async function settle(delivery: LeasedDelivery, outcome: DeliveryOutcome): Promise<void> {
    switch (outcome.kind) {
      case 'delivered':
        return outbox.remove(delivery);
      case 'refused':
        return refused(delivery, outcome.status);
      case 'unanswered': {
        const { usageId, attempts } = delivery;
        const { status, message, retryAfter } = outcome.failure;
        const pause = pauseAfter(attempts, retryAfter);
        await outbox.postpone(delivery, pause, { lastStatus: status });
        const fields = { usageId, kind: delivery.body.kind, attempts, status, reason: message, pause };
        logger.warn(fields, 'The Accounting Service does not confirm a delivery: it is made again.');
      }
    }
  }

  return async function deliverRow(row, signal) {
    const permit = breaker.enter();
    if (permit === null) return 'resting';
    let ending: 'succeeded' | 'failed' | 'abandoned' = 'abandoned';
    try {
      const delivery = await outbox.lease(row, `${instanceId}:${newId()}`, leaseMs);
      if (delivery === null) return 'taken';
      await probe('delivering', delivery.usageId);
      let outcome: DeliveryOutcome;
      try {
        outcome = await sendDelivery(delivery.body, signal);
      } catch (error) {
        // Not left to the lease: who comes after this process need not wait for it.
        if (signal.aborted) await outbox.postpone(delivery, 0);
        throw error;
      }
      ending = outcome.kind === 'unanswered' ? 'failed' : 'succeeded';
      await probe('delivered', delivery.usageId);
      await settle(delivery, outcome);
      return 'handled';
    } finally {
      permit[ending]();
    }
  };
}
