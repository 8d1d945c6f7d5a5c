import type { Database } from '../../../../src/db/database.ts';
import type { GenerationRow, GenerationsStore } from '../../../../src/features/generations/generations-store.ts';
import type { MessageRow } from '../../../../src/features/generations/message-row.ts';
import type { MessageStore } from '../../../../src/features/generations/message-store.ts';
import type { SegmentsStore } from '../../../../src/features/generations/segments-store.ts';
import type { Process } from './schedule.ts';

/** The database as one process has it. */
export interface RowsHandle {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly segments: SegmentsStore;
  readonly messages: MessageStore;
}

/** The rows that the instances share. */
export interface Rows {
  /** While set, statements and commits fail at random. */
  faulty: boolean;
  /** Whether the statements of a transaction are steps of their own, that others may come between. */
  readonly stepsInTransactions: boolean;
  open(process: Process): RowsHandle;
  /** Rolls back what a dead process has left open. */
  forget(process: Process): void;
  addSession(sessionId: string): Promise<void>;
  generation(id: string): Promise<GenerationRow | null>;
  message(id: string): Promise<MessageRow | null>;
  /** The longest text that is known to have been stored while the generation ran. */
  checkpointed(id: string): Promise<string>;
  /** Text that is stored beside the message, null where there is none. */
  segmentText(id: string): Promise<string | null>;
}

/** What a statement rejects with while the database is away. */
export class DatabaseAway extends Error {
  override readonly name = 'DatabaseAway';
}

export const userId = 'user';
