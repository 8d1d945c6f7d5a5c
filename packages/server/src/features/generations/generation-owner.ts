import type { SessionChangeEvent } from '@chat-service/shared/events';
import type { Database } from '../../db/database.ts';
import { delay, type Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { GenerationLog } from './generation-log.ts';
import type { GenerationsStore } from './generations-store.ts';
import type { Probe } from './probe.ts';
import type { Cancellation, RunningGeneration, UnsavedText } from './running-generation.ts';
import type { SegmentsStore } from './segments-store.ts';

export interface OwnerDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly segments: SegmentsStore;
  readonly log: GenerationLog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probe: Probe;
  readonly instanceId: string;
  readonly leaseMilliseconds: number;
}

/**
 * Keeps what this process owns: renews leases, stores text, hears of requests to stop. One heartbeat for all of it, so
 * that a thousand generations cost two statements a second.
 */
export interface GenerationOwner {
  readonly instanceId: string;
  /** Keeps a drain waiting for a generation that is claimed and not owned yet. */
  expect(start: Promise<unknown>): void;
  /** Runs `work` as the owner of a generation, from admission to its end. */
  own(generation: RunningGeneration, confirmedAt: number, work: () => Promise<void>): void;
  owns(generationId: string): boolean;
  /**
   * True once the lease is known to be held, false when another instance has taken it or the generation is cancelled. A
   * heartbeat that came late is made up for first, for as long as that takes.
   */
  confirm(generation: RunningGeneration): Promise<boolean>;
  /** Puts a change of its session among the events of a generation; false where it does not run here (any more). */
  announce(generationId: string, event: SessionChangeEvent): Promise<boolean>;
  /** Cancels a generation of this process; false where it is not one. */
  cancel(generationId: string, cause: Cancellation): boolean;
  /** Resolves when the generation is no longer run here. */
  ended(generationId: string): Promise<void>;
  readonly isDraining: boolean;
  /** Takes nothing new from now on. */
  beginDraining(): void;
  /** Waits for what runs, then interrupts it; false when an end could not be stored in time. */
  drain(graceMs: number): Promise<boolean>;
  stop(): Promise<void>;
}

interface Owned {
  readonly generation: RunningGeneration;
  confirmedAt: number;
  readonly ended: Promise<void>;
}

/** How often text is stored and leases are renewed, where the lease leaves that much time. */
const checkpointMs = 1000;
/** At least so many heartbeats begin within a lease; one that takes longer than its share is given up for the next. */
const heartbeatsInLease = 3;
/** What is left for storing the ends after the grace is over. */
const drainEndMs = 4000;

export function createGenerationOwner(deps: OwnerDependencies): GenerationOwner {
  const { database, store, segments, log, clock, logger, probe, instanceId, leaseMilliseconds } = deps;
  const interval = Math.min(checkpointMs, Math.floor(leaseMilliseconds / heartbeatsInLease));
  const owned = new Map<string, Owned>();
  const starting = new Set<Promise<unknown>>();
  let draining = false;
  let graceIsOver = false;
  let stopped = false;
  let beating: Promise<void> | null = null;
  let cancelNext: (() => void) | null = null;

  /** Never two at once: a caller that comes while one runs gets a new one after it, as that may have read too early. */
  function beat(): Promise<void> {
    const next = (beating ?? Promise.resolve()).then(boundedHeartbeat).finally(() => {
      if (beating === next) beating = null;
    });
    beating = next;
    return next;
  }

  /** A connection that has gone silent must not cost the lease: the next heartbeat takes another one. */
  async function boundedHeartbeat(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const patience = new AbortController();
    const cancel = clock.after(leaseMilliseconds / heartbeatsInLease, () => {
      logger.warn({ generations: owned.size }, 'the database has not answered a heartbeat in time');
      patience.abort();
      resolve();
    });
    await Promise.race([heartbeat(patience.signal), late]);
    cancel();
  }

  async function heartbeat(givenUp: AbortSignal): Promise<void> {
    if (owned.size === 0) return;
    const at = clock.now();
    const current = [...owned.values()];
    try {
      const saved = await database.transaction(async (tx) => {
        const ids = current.map(({ generation }) => generation.id);
        const rows = new Map((await store.renew(tx, instanceId, ids, leaseMilliseconds)).map((row) => [row.id, row]));
        const texts: [RunningGeneration, UnsavedText][] = [];
        for (const { generation } of current) {
          const unsaved = rows.get(generation.id)?.fence === generation.fence ? generation.unsaved() : null;
          if (unsaved !== null) texts.push([generation, unsaved]);
        }
        const segmentRows = texts.map(([{ id }, { sequence, position, text }]) => {
          return { generationId: id, sequence, fence: position.fence, number: position.number, text };
        });
        if (texts[0] !== undefined) await probe('checkpointing', texts[0][0].id);
        await segments.append(tx, segmentRows);
        return { rows, texts };
      });
      // The next one has stored, or is storing, the same text and more: what this one did is counted there.
      if (givenUp.aborted) return;
      for (const [generation, unsaved] of saved.texts) generation.saved(unsaved);
      for (const entry of current) {
        const row = saved.rows.get(entry.generation.id);
        if (row === undefined || row.fence !== entry.generation.fence) entry.generation.cancel('fenced');
        else {
          entry.confirmedAt = at;
          if (row.stopRequestedBy !== null) entry.generation.cancel(row.stopRequestedBy);
        }
      }
      if (saved.texts[0] !== undefined) await probe('checkpointed', saved.texts[0][0].id);
    } catch (error) {
      logger.error({ err: error, generations: current.length }, 'could not renew leases and store text');
    }
  }

  function schedule(): void {
    cancelNext?.();
    cancelNext = clock.after(interval, () => {
      void beat().finally(() => {
        if (!stopped && owned.size > 0) schedule();
        else cancelNext = null;
      });
    });
  }

  return {
    instanceId,
    expect(start) {
      const settled = start.catch(() => undefined).finally(() => starting.delete(settled));
      starting.add(settled);
    },
    own(generation, confirmedAt, work) {
      // Its admission has outlasted the grace: nobody would come to interrupt it later.
      if (graceIsOver) generation.cancel('shutdown');
      const ended = work()
        .catch((error: unknown) => {
          logger.error({ err: error, generationId: generation.id }, 'a generation ended with a fault of our own');
        })
        .finally(() => owned.delete(generation.id));
      owned.set(generation.id, { generation, confirmedAt, ended });
      if (cancelNext === null && !stopped) schedule();
    },
    owns: (generationId) => owned.has(generationId),
    async confirm(generation) {
      const entry = owned.get(generation.id);
      // Work may ask before it is registered: it was admitted an instant ago.
      if (entry === undefined) return true;
      const isHeld = () => clock.now() - entry.confirmedAt < leaseMilliseconds && generation.cancellation !== 'fenced';
      const isInDoubt = () => !isHeld() && !generation.signal.aborted;
      if (isInDoubt()) await beat();
      // No answer is no fence: the whole text is here and nowhere else, so it waits for a database that is away.
      while (isInDoubt()) {
        await delay(clock, interval, generation.signal).catch(() => undefined);
        if (isInDoubt()) await beat();
      }
      return isHeld();
    },
    async announce(generationId, event) {
      const generation = owned.get(generationId)?.generation;
      if (generation === undefined) return false;
      const previous = generation.position;
      const position = generation.takePosition();
      if (position === null) return false;
      return log.append(generation.sessionId, [{ position, previous, event }]);
    },
    cancel(generationId, cause) {
      const entry = owned.get(generationId);
      entry?.generation.cancel(cause);
      return entry !== undefined;
    },
    ended: (generationId) => owned.get(generationId)?.ended ?? Promise.resolve(),
    get isDraining() {
      return draining;
    },
    beginDraining() {
      draining = true;
    },
    async drain(graceMs) {
      draining = true;
      const allEnded = async () => {
        while (owned.size + starting.size > 0) {
          await Promise.all([...starting, ...[...owned.values()].map(({ ended }) => ended)]);
        }
      };
      const graceOver = new AbortController();
      const ended = allEnded().finally(() => graceOver.abort());
      await Promise.race([ended, delay(clock, graceMs, graceOver.signal).catch(() => undefined)]);
      graceIsOver = true;
      for (const { generation } of owned.values()) generation.cancel('shutdown');
      const endOver = new AbortController();
      await Promise.race([
        allEnded().finally(() => endOver.abort()),
        delay(clock, drainEndMs, endOver.signal).catch(() => undefined),
      ]);
      return owned.size === 0;
    },
    async stop() {
      stopped = true;
      cancelNext?.();
      cancelNext = null;
      await beating;
    },
  };
}
