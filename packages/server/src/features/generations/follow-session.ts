import type { SessionEvent } from '@chat-service/shared/events';
import type { Clock } from '../../platform/clock.ts';
import { ConnectionSevered } from '../../platform/connection-severed.ts';
import type { GenerationLog } from './generation-log.ts';
import type { GenerationSnapshot, ReadSnapshot } from './generation-snapshot.ts';
import type { GenerationsStore } from './generations-store.ts';
import type { Database } from '../../db/database.ts';
import {
  comparePositions,
  formatEventId,
  formatHistoryId,
  isAmidAnswer,
  isSamePosition,
  parseSessionEventId,
  type Position,
} from './position.ts';
import { readInOne } from './join-texts.ts';
import { readHistory } from './read-history.ts';
import { createLiveReaders, type LiveWay } from './live-readers.ts';
import { listen, type ReaderBells } from './reader-bells.ts';
import { fromSnapshot, type Cursor } from './reader-cursor.ts';
import { placeNotices, type Notices, type PlacedNotices } from './reader-notices.ts';
import type { RowWatch } from './row-watch.ts';
import { continues, countText, type SessionCursor, type SessionReader } from './session-cursor.ts';
import type { ReadSession, SessionState } from './session-snapshot.ts';

/** An event with the id under which a reader resumes after it. */
export interface IdentifiedSessionEvent<Notice = never> {
  readonly id: string;
  readonly event: SessionEvent | Notice;
}

export interface FollowSessionRequest<Notice = never> {
  readonly sessionId: string;
  /** After the event of this id. Null, or one that is unreadable or within the history, tells the history first. */
  readonly lastEventId: string | null;
  /** Where the session's log stood before this was asked: nothing that is told comes before it. @default its beginning */
  readonly floor?: Position | undefined;
  /** What the reader is told beside the log. */
  readonly notices?: Notices<Notice> | null | undefined;
  /** Where texts are sent in the place of being yielded, as long as it takes them; what it took is never yielded. */
  readonly liveWay?: LiveWay | null | undefined;
}

/**
 * A whole session, across its generations, until it is deleted or the signal aborts: first what is stored, then what
 * happens, nothing missing and nothing twice. Where a reader has missed what cannot be told any more, it starts over at
 * the history.
 * @throws {@link ConnectionSevered}
 */
export type FollowSession = <Notice = never>(
  request: FollowSessionRequest<Notice>,
  signal: AbortSignal,
) => AsyncGenerator<IdentifiedSessionEvent<Notice>, void, void>;

export interface FollowSessionDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly log: GenerationLog;
  readonly watch: RowWatch;
  readonly readSession: ReadSession;
  readonly readSnapshot: ReadSnapshot;
  readonly clock: Clock;
}

/** What the row said to a reader that looked. */
type RowLook =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'start-over' }
  | { readonly kind: 'generation'; readonly snapshot: GenerationSnapshot };

const beginning: Position = { fence: 0, number: 0 };

export function createFollowSession(deps: FollowSessionDependencies): FollowSession {
  const liveReaders = createLiveReaders(deps.log);
  const { database, store, log, watch, readSession, readSnapshot, clock } = deps;

  async function look(sessionId: string, last: Position): Promise<RowLook> {
    const state = await readSession.state(sessionId);
    if (state === null) return { kind: 'gone' };
    if (isAstray(last, state)) return { kind: 'start-over' };
    const id = await generationAt(sessionId, last, state);
    if (id === null) return isSamePosition(last, state.position) ? { kind: 'nothing' } : { kind: 'start-over' };
    const snapshot = await readSnapshot(id);
    return snapshot?.message == null ? { kind: 'start-over' } : { kind: 'generation', snapshot };
  }

  /** Whether the row knows of more than the log here: a log that missed a deletion would tell what was deleted. */
  async function isOutdated(
    sessionId: string,
    after: Position,
    bells: ReaderBells,
    signal: AbortSignal,
  ): Promise<boolean> {
    const newest = await log.newest(sessionId);
    // Who has everything that the log has is told nothing of it.
    if (newest === null || comparePositions(newest, after) <= 0) return false;
    const state = await readSession.state(sessionId);
    if (state === null) return false;
    const isCaughtUp = async () => {
      const now = await log.newest(sessionId);
      return now === null || comparePositions(now, state.position) >= 0;
    };
    // What was committed just now is on its way to the log.
    await bells.waitUntil(isCaughtUp, clock, signal);
    return !(await isCaughtUp());
  }

  /** The generation that a reader at `last` is in, or is to begin with; null where it is in none. */
  async function generationAt(sessionId: string, last: Position, state: SessionState): Promise<string | null> {
    // Everything before the answer that runs has been told: it is the next.
    if (state.activeGenerationId !== null && comparePositions(state.position, last) <= 0)
      return state.activeGenerationId;
    if (state.activeGenerationId !== null || isSamePosition(last, state.position)) return null;
    // The log ends with the end of a generation, and the reader is somewhere in that one.
    const ended = await store.findAt(database.query, sessionId, state.position);
    return ended !== null && last.fence >= ended.claimFence ? ended.id : null;
  }

  async function* history<Notice>({
    sessionId,
    cursor,
    notices,
  }: SessionReader<Notice>): AsyncGenerator<IdentifiedSessionEvent<Notice>, 'told' | 'outdated' | 'gone', void> {
    const snapshot = await readSession.snapshot(sessionId);
    if (snapshot === null) return 'gone';
    const { stored, total, position, activeGenerationId } = snapshot;
    // What is told from here on comes after this, also where the history turns out to be outdated.
    Object.assign(cursor, { last: position, answer: null, isAmidAnswer: activeGenerationId !== null });
    if (activeGenerationId === null) notices?.wasIdle();
    const id = (index: number) => formatHistoryId(sessionId, position, index);
    yield* withNotice(notices, id(0), { type: 'history-start', count: stored.length, total });
    let index = 0;
    for await (const page of readHistory(readSession, stored)) {
      if (page === null) return 'outdated';
      for (const message of page) {
        index += 1;
        yield { id: id(index), event: { type: 'message', message } };
      }
    }
    const end = activeGenerationId === null ? 'end' : 'end-amid-answer';
    yield* withNotice(notices, formatHistoryId(sessionId, position, end), { type: 'history-end' });
    return 'told';
  }

  /** Each event under its id; a `start` is preceded by the message it answers, in the place before it, unless that was told. */
  function* told<Notice>(
    { sessionId, cursor, notices }: SessionReader<Notice>,
    last: Position,
    position: Position,
    event: SessionEvent,
  ): Generator<IdentifiedSessionEvent<Notice>, void, void> {
    const before: Position = { fence: position.fence, number: 0 };
    if (event.type === 'start') {
      const isTold = cursor.isAmidAnswer || isSamePosition(last, before);
      cursor.isAmidAnswer = false;
      if (!isTold && event.userMessage !== null) {
        yield* withNotice(notices, formatEventId(sessionId, before), { type: 'message', message: event.userMessage });
      }
    }
    yield* withNotice(notices, formatEventId(sessionId, position), event);
  }

  async function* fromLog<Notice>(
    reader: SessionReader<Notice>,
    isJoining: boolean,
  ): AsyncGenerator<IdentifiedSessionEvent<Notice>, { delivered: number; gap: boolean; deleted: boolean }, void> {
    const { sessionId, cursor } = reader;
    let delivered = 0;
    const found = isJoining ? readInOne(log, sessionId, cursor.last) : log.read(sessionId, cursor.last);
    for (const { position, previous, event } of await found) {
      const deleted = event.type === 'session-deleted';
      if (!deleted && !continues(cursor, position, previous, event)) return { delivered, gap: true, deleted };
      const { last } = cursor;
      cursor.last = position;
      countText(cursor, event);
      delivered += 1;
      yield* told(reader, last, position, event);
      if (deleted) return { delivered, gap: false, deleted };
    }
    return { delivered, gap: false, deleted: false };
  }

  async function* fromRow<Notice>(
    reader: SessionReader<Notice>,
    snapshot: GenerationSnapshot,
  ): AsyncGenerator<IdentifiedSessionEvent<Notice>, void, void> {
    const { cursor } = reader;
    const { id, claimFence } = snapshot.row;
    const started = cursor.last.fence >= claimFence && cursor.last.number > 0;
    const known = cursor.answer?.id === id ? cursor.answer.length : null;
    const inside: Cursor = { last: cursor.last, started, synced: true, length: started ? known : 0 };
    const { last } = cursor;
    for (const { position, event } of fromSnapshot(snapshot, inside)) yield* told(reader, last, position, event);
    cursor.last = inside.last;
    cursor.answer = inside.length === null ? null : { id, length: inside.length };
  }

  return async function* followSession({ sessionId, lastEventId, floor = beginning, ...ways }, signal) {
    const { notices: source, liveWay = null } = ways;
    const after = lastEventId === null ? null : parseSessionEventId(sessionId, lastEventId);
    const resumedAfter = after === null ? null : lastEventId;
    const notices = source == null ? null : placeNotices({ notices: source, resumedAfter, clock });
    using bells: ReaderBells = listen({ log, sessionId, watch, watched: sessionId, listenToNotices: notices?.listen });
    const isAmid = after !== null && isAmidAnswer(lastEventId ?? '');
    const cursor: SessionCursor = { last: after ?? floor, answer: null, isAmidAnswer: isAmid };
    const reader = { sessionId, cursor, notices };
    let withHistory = after === null || (await isOutdated(sessionId, after, bells, signal));
    // Whoever has been told something from here is at most a moment behind.
    let isLive = false;
    let hasWaited = false;
    let isJoining = false;
    for (let firstLook = true; !signal.aborted; firstLook = false) {
      if (withHistory) {
        const outcome = yield* history(reader);
        if (outcome === 'gone') return yield deletion(sessionId, cursor.last);
        if (outcome === 'outdated') continue;
        withHistory = false;
        firstLook = true;
        isLive = true;
        hasWaited = false;
        isJoining = true;
      }
      bells.entries.clear();
      const notice = bells.takeNotice() ? notices?.now() : null;
      if (notice != null) yield notice;
      const { delivered, gap, deleted } = yield* fromLog(reader, isJoining);
      isJoining = false;
      if (deleted || signal.aborted) return;
      if (delivered > 0) {
        isLive = true;
        hasWaited = false;
      }
      if (delivered > 0 && !gap && !bells.rowChanged) continue;
      if (gap || firstLook || bells.rowChanged) {
        if (bells.severed) throw new ConnectionSevered();
        bells.lookAtRow();
        const before = cursor.last;
        const found = await look(sessionId, cursor.last).catch((error: unknown) => {
          throw firstLook ? error : new ConnectionSevered(error);
        });
        if (found.kind === 'gone') return yield deletion(sessionId, cursor.last);
        // The log may have come to hold what follows while the row was read.
        const [next] = found.kind === 'nothing' ? [] : await log.read(sessionId, cursor.last);
        if (next !== undefined && continues(cursor, next.position, next.previous, next.event)) {
          bells.lookAtRowAgain();
          continue;
        }
        if (found.kind === 'start-over') {
          // A change reaches the log just after its commit: what the row is ahead by may be on its way.
          if (!hasWaited && (isLive || (await log.newest(sessionId)) !== null)) {
            hasWaited = true;
            bells.lookAtRowAgain();
            await bells.waitUntil(async () => (await log.read(sessionId, cursor.last)).length > 0, clock, signal);
            continue;
          }
          withHistory = true;
          continue;
        }
        // One that lacks nothing is live as well, also where it has come back and was told nothing yet.
        if (found.kind === 'nothing') isLive = true;
        if (found.kind === 'generation') yield* fromRow(reader, found.snapshot);
        if (!isSamePosition(before, cursor.last)) continue;
        if (gap) {
          await bells.waitForRow(clock, signal);
          continue;
        }
      }
      await bells.waitWith((wake) => liveWay && liveReaders.join(reader, liveWay, wake, signal), signal);
    }
  };
}

/** Whether nobody was ever told a place as late as this: what comes after it would be a part of something unknown. */
function isAstray(last: Position, { position, fence, activeGenerationId }: SessionState): boolean {
  return last.fence > fence || (activeGenerationId === null && comparePositions(last, position) > 0);
}

/** An event, and what there is to say behind it. */
function* withNotice<Notice>(
  notices: PlacedNotices<Notice> | null,
  id: string,
  event: SessionEvent,
): Generator<IdentifiedSessionEvent<Notice>, void, void> {
  yield { id, event };
  const notice = notices?.after(id, event) ?? null;
  if (notice !== null) yield notice;
}

/** The end for a reader at `last`: the deletion has raised the fence beyond everything that was told. */
function deletion(sessionId: string, last: Position): IdentifiedSessionEvent {
  const id = formatEventId(sessionId, { fence: last.fence + 1, number: 1 });
  return { id, event: { type: 'session-deleted', sessionId } };
}
