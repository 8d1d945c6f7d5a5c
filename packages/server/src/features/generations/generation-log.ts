import type { GenerationEvent, SessionChangeEvent } from '@chat-service/shared/events';
import type { Position } from './position.ts';

/** What a session's log holds: the events of its generations, and what else happens to it. */
export type LogEvent = GenerationEvent | SessionChangeEvent;

/** One event of a session's log. A reader whose last position is not `previous` has missed something and says so. */
export interface LogEntry {
  readonly position: Position;
  readonly previous: Position;
  readonly event: LogEvent;
}

export function isOfGeneration(event: LogEvent): event is GenerationEvent {
  return 'streamId' in event;
}

/** Why a reader is woken: new entries, something in the row, or that there will be nothing more to read here. */
export type WakeReason = 'entries' | 'row' | 'severed';

/**
 * The live events of sessions, one log a session: the short memory in front of the database, whose rows stay right
 * without it. Losing it costs readers a `resync`, never an answer.
 */
export interface GenerationLog {
  /** Adds entries in order; what does not come after the newest one is a late writer's and is refused with `false`. */
  append(sessionId: string, entries: readonly LogEntry[]): Promise<boolean>;
  /** Entries after `after`, oldest first and at most a bounded number of them; empty where nothing is held. */
  read(sessionId: string, after: Position): Promise<readonly LogEntry[]>;
  /** The first entry after `after`, at once; null where none is held. Absent where what is held has to be asked for. */
  peek?(sessionId: string, after: Position): LogEntry | null;
  /** Calls `wake` whenever there is something to look at; returns the end of it. */
  subscribe(sessionId: string, wake: (reason: WakeReason) => void): () => void;
  /** Sends the readers of a session to the row: what happened is there. */
  nudge(sessionId: string): void;
  /** Keeps what is there for those who come back soon, and no longer: the generation ends elsewhere. */
  retire(sessionId: string): void;
  /** The newest position held; null where nothing is. */
  newest(sessionId: string): Promise<Position | null>;
  /** Lets go of the readers of a session, whose end cannot be told for now. */
  sever(sessionId: string): void;
  /** Puts one entry in the place of all: the last of a session that is deleted, kept so that late writers are refused. */
  replace(sessionId: string, entry: LogEntry): Promise<void>;
}
