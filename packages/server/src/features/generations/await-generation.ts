import type { Message } from '@chat-service/shared/objects';
import { ServiceError } from '../../platform/service-error.ts';
import { createWakeup } from '../../platform/wakeup.ts';
import { refusalError } from './generation-events.ts';
import type { GenerationLog } from './generation-log.ts';
import type { GenerationOwner } from './generation-owner.ts';
import type { GenerationSnapshot, ReadSnapshot } from './generation-snapshot.ts';
import type { RowWatch } from './row-watch.ts';

/** A generation that exists: its answer as it stands, with the message that it answers. */
export interface AdmittedSnapshot extends GenerationSnapshot {
  readonly message: Message;
}

/**
 * Waits until a generation is admitted, or has ended, without watching what is written.
 * @throws ServiceError with the refusal of one that was never admitted; `NOT_FOUND` for one that is gone; the signal's
 * reason when it aborts
 */
export type AwaitGeneration = (
  generation: { id: string; sessionId: string },
  until: 'admitted' | 'ended',
  signal?: AbortSignal,
) => Promise<AdmittedSnapshot>;

export interface AwaitDependencies {
  readonly owner: GenerationOwner;
  readonly log: GenerationLog;
  readonly watch: RowWatch;
  readonly readSnapshot: ReadSnapshot;
}

export function createAwaitGeneration({ owner, log, watch, readSnapshot }: AwaitDependencies): AwaitGeneration {
  async function read(id: string, until: 'admitted' | 'ended'): Promise<AdmittedSnapshot | null> {
    const snapshot = await readSnapshot(id);
    if (snapshot === null) throw new ServiceError('NOT_FOUND');
    const { row, message, endPosition } = snapshot;
    if (row.refusal !== null) throw refusalError(row.refusal);
    if (message === null || (until === 'ended' && endPosition === null)) return null;
    return { ...snapshot, message };
  }

  return async function awaitGeneration({ id, sessionId }, until, signal = new AbortController().signal) {
    const bell = createWakeup();
    const leaveLog = log.subscribe(sessionId, (reason) => {
      if (reason !== 'entries' || until === 'admitted') bell.ring();
    });
    const leaveWatch = watch.watch(id, bell.ring);
    try {
      for (;;) {
        signal.throwIfAborted();
        bell.clear();
        // The owner's own promise tells the end sooner than the row would be looked at.
        if (until === 'ended' && owner.owns(id)) void owner.ended(id).then(bell.ring);
        else {
          const snapshot = await read(id, until);
          if (snapshot !== null) return snapshot;
        }
        await bell.wait(signal);
      }
    } finally {
      leaveLog();
      leaveWatch();
    }
  };
}
