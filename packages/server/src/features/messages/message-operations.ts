import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Generations } from '../generations/generations.ts';
import type { ObservedNotices } from '../generations/reader-notices.ts';
import { createDeleteMessage, type DeleteMessage } from './delete-message.ts';
import { createFinalizeMessage, type FinalizeMessage } from './finalize-message.ts';
import { createFollowMessage, createIdentify, type FollowMessage } from './follow-message.ts';
import { createListMessages, type ListMessages } from './list-messages.ts';
import { createMessageReadsStore } from './message-reads-store.ts';
import { createMessageRemovalStore } from './message-removal-store.ts';
import { createReadNewestMessages, type ReadNewestMessages } from './read-newest-messages.ts';
import { createRequireSession } from './require-session.ts';
import { createSendMessage, type SendMessage } from './send-message.ts';
import { createStartMessage, type StartMessage } from './start-message.ts';
import { createStopMessage, type StopMessage } from './stop-message.ts';
import { createStreamMessage, type StreamMessage } from './stream-message.ts';

export interface MessageOperationsOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly generations: Generations;
  /** Told when something has been deleted. */
  readonly deleted: () => void;
  /** What the users' streams tell of observers; null for nothing. @default null */
  readonly observedNotices?: ObservedNotices | null;
}

export interface MessageOperations {
  readonly sendMessage: SendMessage;
  readonly startMessage: StartMessage;
  readonly streamMessage: StreamMessage;
  readonly followMessage: FollowMessage;
  readonly stopMessage: StopMessage;
  readonly finalizeMessage: FinalizeMessage;
  readonly listMessages: ListMessages;
  readonly deleteMessage: DeleteMessage;
}

/** Puts the operations of the feature together. */
export function createMessageOperations({
  database,
  clock,
  generations,
  deleted,
  observedNotices = null,
}: MessageOperationsOptions): MessageOperations & {
  readonly readNewestMessages: ReadNewestMessages;
} {
  const store = createMessageRemovalStore(database);
  const reads = createMessageReadsStore(database);
  const requireSession = createRequireSession(reads);
  const identify = createIdentify(generations.followGeneration, observedNotices);
  return {
    sendMessage: createSendMessage(generations),
    startMessage: createStartMessage(generations),
    streamMessage: createStreamMessage({ ...generations, identify }),
    followMessage: createFollowMessage({ ...generations, identify }),
    stopMessage: createStopMessage({ requireSession, ...generations }),
    finalizeMessage: createFinalizeMessage({ requireSession, ...generations }),
    listMessages: createListMessages({ requireSession, reads }),
    deleteMessage: createDeleteMessage({ database, store, clock, deleted, ...generations }),
    readNewestMessages: createReadNewestMessages(reads),
  };
}
