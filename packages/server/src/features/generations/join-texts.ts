import type { GenerationLog, LogEntry } from './generation-log.ts';
import { isSamePosition, type Position } from './position.ts';

/** Everything that the log has after a position, what was written of an answer so far in one piece. */
export async function readInOne(log: GenerationLog, sessionId: string, after: Position): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for (let last = after; ;) {
    const more = await log.read(sessionId, last);
    for (const entry of more) {
      const joined = join(entries.at(-1), entry);
      if (joined !== null) entries.pop();
      entries.push(joined ?? entry);
      last = entry.position;
    }
    if (more.length === 0) return entries;
  }
}

/** A text with the one that follows it; null where they are not two of one answer. */
function join(first: LogEntry | undefined, second: LogEntry): LogEntry | null {
  if (first?.event.type !== 'chunk' || second.event.type !== 'chunk') return null;
  if (!isSamePosition(first.position, second.previous)) return null;
  const { event, previous } = first;
  return { position: second.position, previous, event: { ...event, text: event.text + second.event.text } };
}
