import { isTerminalEvent } from '@chat-service/shared/events';
import type { Clock } from '../../platform/clock.ts';
import { isOfGeneration, type GenerationLog, type LogEntry, type LogEvent, type WakeReason } from './generation-log.ts';
import { comparePositions, isSamePosition, type Position } from './position.ts';

export interface MemoryLogOptions {
  readonly clock: Clock;
  /** How long the events of a generation stay after its end. */
  readonly bufferMilliseconds: number;
  /** Most bytes of text that a session's log holds; older entries go first, their readers resync. @default 4 MiB */
  readonly maxBytes?: number;
}

interface SessionLog {
  entries: LogEntry[];
  bytes: number;
  newest: Position;
  readonly wakes: Set<(reason: WakeReason) => void>;
}

const readLimit = 256;
/** What an entry costs beside its text, roughly. */
const entryBytes = 200;

/** The log of one process: what instances share when there is no other log is the database alone. */
export function createMemoryLog({
  clock,
  bufferMilliseconds,
  maxBytes = 4 * 1024 * 1024,
}: MemoryLogOptions): GenerationLog {
  const logs = new Map<string, SessionLog>();

  function open(sessionId: string): SessionLog {
    let log = logs.get(sessionId);
    if (log === undefined) {
      log = { entries: [], bytes: 0, newest: { fence: 0, number: 0 }, wakes: new Set() };
      logs.set(sessionId, log);
    }
    return log;
  }

  function drop(log: SessionLog, upTo: Position): void {
    const kept = log.entries.slice(firstAfter(log.entries, upTo));
    log.entries = kept;
    log.bytes = kept.reduce((sum, entry) => sum + costOf(entry.event), 0);
  }

  function forget(sessionId: string, log: SessionLog, upTo: Position): void {
    drop(log, upTo);
    closeIfUnused(sessionId, log);
  }

  function closeIfUnused(sessionId: string, log: SessionLog): void {
    if (log.entries.length === 0 && log.wakes.size === 0 && logs.get(sessionId) === log) logs.delete(sessionId);
  }

  function read(sessionId: string, after: Position): readonly LogEntry[] {
    const entries = logs.get(sessionId)?.entries ?? [];
    const first = firstAfter(entries, after);
    return entries.slice(first, first + readLimit);
  }

  function peek(sessionId: string, after: Position): LogEntry | null {
    const entries = logs.get(sessionId)?.entries;
    const newest = entries?.at(-1);
    if (entries === undefined || newest === undefined || isSamePosition(newest.position, after)) return null;
    // Who keeps up lacks the newest alone.
    return isSamePosition(newest.previous, after) ? newest : (entries[firstAfter(entries, after)] ?? null);
  }

  return {
    append(sessionId, entries) {
      const log = open(sessionId);
      for (const entry of entries) {
        // Who comes back to a place before a deletion starts over: what was deleted is not told again.
        if (entry.event.type === 'message-deleted') drop(log, entry.position);
        if (comparePositions(entry.position, log.newest) <= 0) return Promise.resolve(false);
        log.entries.push(entry);
        log.newest = entry.position;
        log.bytes += costOf(entry.event);
        if (!isOfGeneration(entry.event) || isTerminalEvent(entry.event)) {
          clock.after(bufferMilliseconds, () => forget(sessionId, log, entry.position));
        }
      }
      if (log.bytes > maxBytes) trim(log, maxBytes / 2);
      for (const wake of log.wakes) wake('entries');
      return Promise.resolve(true);
    },
    read: (sessionId, after) => Promise.resolve(read(sessionId, after)),
    peek,
    subscribe(sessionId, wake) {
      const log = open(sessionId);
      log.wakes.add(wake);
      return () => {
        log.wakes.delete(wake);
        closeIfUnused(sessionId, log);
      };
    },
    nudge(sessionId) {
      for (const wake of logs.get(sessionId)?.wakes ?? []) wake('row');
    },
    retire(sessionId) {
      const log = logs.get(sessionId);
      if (log === undefined) return;
      const { newest } = log;
      clock.after(bufferMilliseconds, () => forget(sessionId, log, newest));
    },
    newest(sessionId) {
      return Promise.resolve(logs.get(sessionId)?.entries.at(-1)?.position ?? null);
    },
    sever(sessionId) {
      for (const wake of logs.get(sessionId)?.wakes ?? []) wake('severed');
    },
    replace(sessionId, entry) {
      const log = open(sessionId);
      log.entries = [entry];
      log.newest = entry.position;
      log.bytes = costOf(entry.event);
      clock.after(bufferMilliseconds, () => forget(sessionId, log, entry.position));
      for (const wake of log.wakes) wake('row');
      return Promise.resolve();
    },
  };
}

function costOf(event: LogEvent): number {
  switch (event.type) {
    case 'chunk':
      return entryBytes + event.text.length * 2;
    case 'start':
      return entryBytes + (event.userMessage?.content.length ?? 0) * 2;
    case 'done':
    case 'error':
    case 'resync':
      return entryBytes + event.message.content.length * 2;
    case 'session-updated':
    case 'session-deleted':
    case 'message-deleted':
      return entryBytes;
  }
}

function trim(log: SessionLog, bytes: number): void {
  let dropped = 0;
  // The newest entry always stays: it is what tells a late writer from the owner.
  while (log.bytes > bytes && dropped < log.entries.length - 1) {
    const entry = log.entries[dropped];
    if (entry !== undefined) log.bytes -= costOf(entry.event);
    dropped += 1;
  }
  log.entries.splice(0, dropped);
}

/** Index of the first entry after a position: entries are in order, so the search halves. */
function firstAfter(entries: readonly LogEntry[], after: Position): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = entries[middle];
    if (entry !== undefined && comparePositions(entry.position, after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
