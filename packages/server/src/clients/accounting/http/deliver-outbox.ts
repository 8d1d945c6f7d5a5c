import type { Logger } from '../../../platform/logger.ts';
import type { DeliverRow } from './deliver-row.ts';
import type { OutboxStore } from './outbox-store.ts';

export interface DeliverOutboxOptions {
  readonly outbox: Pick<OutboxStore, 'listDue'>;
  readonly deliverRow: DeliverRow;
  /** True while the service is not to be called. */
  readonly isResting: () => boolean;
  readonly logger: Logger;
}

export interface DeliverOutbox {
  /**
   * Delivers everything that is due, or joins who is at it; resolves soon after the signal aborts.
   * @throws what the database throws
   */
  deliverDue(signal: AbortSignal): Promise<void>;
  /** Something has been committed: it is delivered now, and nobody waits for it. */
  nudge(): void;
  /** Ends what is under way; nothing is delivered any more. */
  stop(): Promise<void>;
}

/** Calls to the service at the same time. */
const concurrency = 8;
const batch = 64;

/** One run at a time a process, which looks again as long as it finds something or is nudged. */
export function createDeliverOutbox({ outbox, deliverRow, isResting, logger }: DeliverOutboxOptions): DeliverOutbox {
  let run: { readonly ending: AbortController; readonly done: Promise<void> } | null = null;
  let isStopped = false;
  let again = false;

  /** False when there is nothing left to do for now. */
  async function deliverBatch(signal: AbortSignal): Promise<boolean> {
    if (isResting()) return false;
    const rows = await outbox.listDue(batch);
    const wasFull = rows.length === batch;
    let handled = 0;
    const work = async () => {
      for (let row = rows.shift(); row !== undefined; row = rows.shift()) {
        signal.throwIfAborted();
        const result = await deliverRow(row, signal);
        if (result === 'resting') return;
        if (result === 'handled') handled += 1;
      }
    };
    const workers = Array.from({ length: Math.min(concurrency, rows.length) }, work);
    const failed = (await Promise.allSettled(workers)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    return wasFull && handled > 0;
  }

  async function deliverAll(signal: AbortSignal): Promise<void> {
    try {
      do {
        again = false;
        while (!signal.aborted && (await deliverBatch(signal)));
      } while (again && !signal.aborted);
    } finally {
      // In the same turn as the last look at `again`: a nudge finds a run that hears it, or none.
      run = null;
    }
  }

  function start() {
    const ending = new AbortController();
    const done = deliverAll(ending.signal).catch((error: unknown) => {
      if (!ending.signal.aborted) throw error;
    });
    run = { ending, done };
    return run;
  }

  return {
    async deliverDue(signal) {
      if (isStopped || signal.aborted) return;
      again = true;
      const { ending, done } = run ?? start();
      const end = () => ending.abort();
      signal.addEventListener('abort', end, { once: true });
      try {
        await done;
      } finally {
        signal.removeEventListener('abort', end);
      }
    },

    nudge() {
      again = true;
      if (isStopped || run !== null) return;
      start().done.catch((error: unknown) => {
        logger.error({ err: error }, 'could not deliver to the Accounting Service');
      });
    },

    async stop() {
      isStopped = true;
      run?.ending.abort();
      await run?.done.catch(() => undefined);
    },
  };
}
