import type { LiveSink } from '../../platform/live-sink.ts';
import type { GenerationLog } from './generation-log.ts';
import { formatEventId, type Position } from './position.ts';
import { continues, countText, type SessionReader } from './session-cursor.ts';

/**
 * Sends what the log has come to hold past all that lies between a reader and its client, to which everything before has
 * been told; false where there is anything but text, or no room.
 */
export type SendAtOnce = <Notice>(reader: SessionReader<Notice>, sink: LiveSink) => boolean;

export function createSendAtOnce(log: GenerationLog): SendAtOnce {
  /** The id that was made last: of all who are sent an event at once, the first makes it. */
  let made: { readonly position: Position; readonly id: string } | null = null;
  function idOf(sessionId: string, position: Position): string {
    if (made?.position !== position) made = { position, id: formatEventId(sessionId, position) };
    return made.id;
  }

  return function sendAtOnce({ sessionId, cursor, notices }, sink) {
    let isSent = false;
    for (;;) {
      const entry = log.peek?.(sessionId, cursor.last) ?? null;
      if (entry === null) return isSent;
      const { position, previous, event } = entry;
      if (event.type !== 'chunk' || !continues(cursor, position, previous, event)) return false;
      const id = idOf(sessionId, position);
      if (!sink.write(id, event)) return false;
      cursor.last = position;
      countText(cursor, event);
      notices?.passed(id);
      isSent = true;
    }
  };
}
