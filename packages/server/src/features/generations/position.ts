/**
 * A place in a session's log. The fence rises with every admission, take-over and deletion of the session; `number`
 * is dense within a fence and starts at 1, so that `number: 0` stands for the place before anything of that fence.
 */
export interface Position {
  readonly fence: number;
  readonly number: number;
}

export function comparePositions(a: Position, b: Position): number {
  return a.fence - b.fence || a.number - b.number;
}

export function isSamePosition(a: Position, b: Position): boolean {
  return a.fence === b.fence && a.number === b.number;
}

export function nextPosition({ fence, number }: Position): Position {
  return { fence, number: number + 1 };
}

const width = 8;
/** The largest integer of the columns that positions are kept in; a database asked for more answers with an error. */
const maxStored = 2 ** 31 - 1;
const eventIdForm = new RegExp(`^([0-9a-f]{${width}})([0-9a-f]{${width}})-([0-9a-f]{8})$`, 'u');

/** The random end of the session's UUIDv7: enough to tell an id of another session. */
function sessionTag(sessionId: string): string {
  return sessionId.slice(-8);
}

/** The position as clients see it: fixed-width hex, so that ids of a session increase bytewise. */
export function formatEventId(sessionId: string, { fence, number }: Position): string {
  const hex = (value: number) => value.toString(16).padStart(width, '0');
  return `${hex(fence)}${hex(number)}-${sessionTag(sessionId)}`;
}

/** Null for an id that is unreadable, beyond every stored position, or of another session. A notice's is its event's. */
export function parseEventId(sessionId: string, id: string): Position | null {
  const match = eventIdForm.exec(id.replace(noticeEnd, ''));
  if (match === null || match[3] !== sessionTag(sessionId)) return null;
  const position = { fence: Number.parseInt(match[1] ?? '', 16), number: Number.parseInt(match[2] ?? '', 16) };
  return position.fence > maxStored || position.number > maxStored ? null : position;
}

const ordinalWidth = 12;
/** At the end of an id behind a history that has told the message of an answer which is still to begin. */
const amidMark = 'r';
const historyEnd = new RegExp(`\\.i${amidMark}?$`, 'u');
const noticeEnd = new RegExp(`\\.o([0-9a-f]{${ordinalWidth}})${amidMark}?$`, 'u');

/**
 * Ids of what a watcher of a session is told before the live events: they stand at the position whose history it is, in
 * order, before everything that comes after it. `end-amid-answer` is the end of one that was read while an answer was
 * being written, so that the message which that answers was among what it told.
 */
export function formatHistoryId(
  sessionId: string,
  position: Position,
  place: number | 'end' | 'end-amid-answer',
): string {
  const end = place === 'end' ? 'i' : `i${amidMark}`;
  const suffix = typeof place === 'number' ? `h${place.toString(16).padStart(4, '0')}` : end;
  return `${formatEventId(sessionId, position)}.${suffix}`;
}

/** Where a watcher of a session goes on; null for an id that is unreadable, of another session, or within the history. */
export function parseSessionEventId(sessionId: string, id: string): Position | null {
  return parseEventId(sessionId, id.replace(historyEnd, ''));
}

/** Whether whoever goes on after this id has been told the message of the answer that is still to begin there. */
export function isAmidAnswer(id: string): boolean {
  return id.endsWith(amidMark);
}

function formatOrdinal(ordinal: number): string {
  return ordinal.toString(16).padStart(ordinalWidth, '0');
}

/**
 * Id of a notice: what one reader is told between two events, and nobody else. It stands behind the event told last,
 * whatever that was, and before everything that comes after it; of two at one place the one with the higher ordinal is
 * the later.
 */
export function formatNoticeId(toldLast: string, ordinal: number): string {
  const [event = ''] = toldLast.split('.', 1);
  return `${event}.o${formatOrdinal(ordinal)}${isAmidAnswer(toldLast) ? amidMark : ''}`;
}

/** The ordinal of a notice's id; 0 for every other id. */
export function noticeOrdinal(id: string): number {
  return Number.parseInt(noticeEnd.exec(id)?.[1] ?? '0', 16);
}

/** Id of what is told before the history at a position; nobody can go on after it. */
export function formatArrivalId(sessionId: string, position: Position, ordinal: number): string {
  return `${formatEventId(sessionId, position)}.c${formatOrdinal(ordinal)}`;
}

/** Id of the last word to a reader that has not been told the whole history: nobody can go on after it either. */
export function formatBreakId(toldLast: string): string {
  return `${toldLast}.e`;
}

/** Whether a reader can go on after an id of this session: it has been told the history that comes before. */
export function isResumable(id: string): boolean {
  return !id.includes('.') || historyEnd.test(id) || noticeEnd.test(id);
}
