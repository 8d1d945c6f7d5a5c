import type { Message } from '@chat-service/shared/objects';
import type { StopRequester } from '../../db/column-types.ts';
import type { Database } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { AwaitGeneration } from './await-generation.ts';
import type { GenerationOwner } from './generation-owner.ts';
import type { GenerationRow, GenerationsStore } from './generations-store.ts';
import type { RecoverGeneration } from './recover-generation.ts';

export interface StopDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly owner: GenerationOwner;
  readonly recover: RecoverGeneration;
  readonly awaitGeneration: AwaitGeneration;
}

/**
 * Ends a generation of a session early and waits until its end is stored. One that is over already answers with its
 * message as it is, so that a late stop never touches the next answer.
 * @throws ServiceError `NOT_FOUND` for an unknown `generationId`, `CONFLICT` where none is named and nothing runs
 */
export type StopGeneration = (
  target: { sessionId: string; generationId?: string | undefined; by: StopRequester },
  signal?: AbortSignal,
) => Promise<Message>;

export function createStopGeneration({
  database,
  store,
  owner,
  recover,
  awaitGeneration,
}: StopDependencies): StopGeneration {
  async function findTarget(sessionId: string, generationId: string | undefined): Promise<GenerationRow> {
    if (generationId === undefined) {
      const live = await store.findLive(database.query, sessionId);
      if (live === null) throw new ServiceError('CONFLICT', { detail: 'Nothing is being generated in this session.' });
      return live.row;
    }
    const row = await store.find(database.query, generationId);
    if (row === null || row.sessionId !== sessionId || row.status === 'refused') throw new ServiceError('NOT_FOUND');
    return row;
  }

  return async function stopGeneration({ sessionId, generationId, by }, signal) {
    const row = await findTarget(sessionId, generationId);
    if (row.status === 'reserving' || row.status === 'running') {
      // The request is durable before the owner hears of it: an owner elsewhere reads it with its next heartbeat.
      await store.requestStop(database.query, row.id, by);
      if (!owner.cancel(row.id, by)) await recover(row.id);
    }
    const { message } = await awaitGeneration(row, 'ended', signal);
    return message;
  };
}
