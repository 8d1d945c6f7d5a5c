import type { LiveSink } from '../../platform/live-sink.ts';
import type { GenerationLog, WakeReason } from './generation-log.ts';
import { formatEventId, isSamePosition, type Position } from './position.ts';
import type { SessionReader } from './session-cursor.ts';

/** Where a reader's texts go while it waits. */
export interface LiveWay {
  readonly sink: LiveSink;
  /** Told the id of the event that was sent last, once, when the reader is on its own again. */
  readonly onSent?: ((id: string) => void) | undefined;
}

/**
 * The readers that have been told everything and wait for more. Those at one place of a session stand together: a text
 * that the log comes to hold is looked at once, and sent to all of them, at once and past all that lies between a reader
 * and its client. For anything else each goes on by itself.
 */
export interface LiveReaders {
  /**
   * Puts a reader among those who wait; null where nothing can be sent at once. `wake` is told of what is in the log and was
   * not sent, the reader being no longer among them. The returned function takes it out, at the place it has been brought to.
   */
  join<Notice>(
    reader: SessionReader<Notice>,
    way: LiveWay,
    wake: (reason: WakeReason) => void,
    signal: AbortSignal,
  ): (() => void) | null;
}

interface Member {
  readonly sink: LiveSink;
  readonly wake: (reason: WakeReason) => void;
  /** To be called once it is no member any more. */
  readonly settle: () => void;
}

/** All who wait at one place. */
interface Company {
  readonly members: Set<Member>;
  last: Position;
  /** Of the text that was sent to it last; null before the first. */
  lastId: string | null;
  streamId: string | null;
  /** Code units that were sent to it. */
  sentLength: number;
  leaveLog: () => void;
}

export function createLiveReaders(log: GenerationLog): LiveReaders {
  /** By session. Hardly ever is there more than one: for one that waits for what the log never comes to hold. */
  const companies = new Map<string, Company[]>();

  function companyAt(sessionId: string, place: Position): Company {
    const there = companies.get(sessionId)?.find(({ last }) => isSamePosition(last, place));
    return there ?? found(sessionId, place);
  }

  function found(sessionId: string, last: Position): Company {
    const company: Company = {
      members: new Set(),
      last,
      lastId: null,
      streamId: null,
      sentLength: 0,
      leaveLog: () => undefined,
    };
    companies.set(sessionId, [...(companies.get(sessionId) ?? []), company]);
    company.leaveLog = log.subscribe(sessionId, (reason) => {
      if (reason !== 'entries' || !sendTexts(sessionId, company)) dissolve(sessionId, company, reason);
    });
    return company;
  }

  function closeIfEmpty(sessionId: string, company: Company): void {
    const all = companies.get(sessionId) ?? [];
    if (company.members.size > 0 || !all.includes(company)) return;
    if (all.length === 1) companies.delete(sessionId);
    else
      companies.set(
        sessionId,
        all.filter((other) => other !== company),
      );
    company.leaveLog();
  }

  function dismiss(company: Company, member: Member): void {
    if (company.members.delete(member)) member.settle();
  }

  function dissolve(sessionId: string, company: Company, reason: WakeReason): void {
    const members = [...company.members];
    for (const member of members) dismiss(company, member);
    for (const member of members) member.wake(reason);
    // Only now: a log that nobody listens to forgets how far it has come.
    closeIfEmpty(sessionId, company);
  }

  /** False where there is anything but text that follows what was sent before. */
  function sendTexts(sessionId: string, company: Company): boolean {
    for (;;) {
      const entry = log.peek?.(sessionId, company.last) ?? null;
      if (entry === null) return true;
      const { position, previous, event } = entry;
      if (event.type !== 'chunk' || !isSamePosition(previous, company.last)) return false;
      if (company.streamId !== null && company.streamId !== event.streamId) return false;
      const id = formatEventId(sessionId, position);
      const refusing: Member[] = [];
      for (const member of company.members) if (!member.sink.write(id, event)) refusing.push(member);
      for (const member of refusing) dismiss(company, member);
      company.last = position;
      company.lastId = id;
      company.streamId = event.streamId;
      company.sentLength += event.text.length;
      for (const member of refusing) member.wake('entries');
      if (company.members.size > 0) continue;
      closeIfEmpty(sessionId, company);
      return true;
    }
  }

  return {
    join({ sessionId, cursor, notices }, { sink, onSent }, wake, signal) {
      if (log.peek === undefined || signal.aborted) return null;
      const company = companyAt(sessionId, cursor.last);
      const lengthBefore = company.sentLength;
      const settle = () => {
        signal.removeEventListener('abort', leave);
        const { last, lastId, streamId, sentLength } = company;
        if (lastId === null || isSamePosition(cursor.last, last)) return;
        cursor.last = last;
        if (cursor.answer !== null && cursor.answer.id === streamId) cursor.answer.length += sentLength - lengthBefore;
        notices?.passed(lastId);
        onSent?.(lastId);
      };
      const member: Member = { sink, wake, settle };
      const leave = () => {
        dismiss(company, member);
        closeIfEmpty(sessionId, company);
      };
      company.members.add(member);
      // Nothing is sent any more to one who may look no longer.
      signal.addEventListener('abort', leave, { once: true });
      return leave;
    },
  };
}
