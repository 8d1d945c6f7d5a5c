import type { StopRequester } from '../../db/column-types.ts';
import { nextPosition, type Position } from './position.ts';

/** Why a generation is ended early: by request, or because this process no longer owns it. */
export type Cancellation = StopRequester | 'fenced';

/** Text that is published and not stored yet. */
export interface UnsavedText {
  readonly sequence: number;
  readonly text: string;
  readonly position: Position;
}

/** A generation as its owner holds it in memory: the only whole copy of its text while it runs. */
export interface RunningGeneration {
  readonly id: string;
  readonly sessionId: string;
  readonly userId: string;
  readonly fence: number;
  /** Aborts when it is cancelled; the reason is the {@link Cancellation}'s error. */
  readonly signal: AbortSignal;
  readonly text: string;
  readonly position: Position;
  /** The first cause, null while there is none. */
  readonly cancellation: Cancellation | null;
  append(text: string, position: Position): void;
  /** Takes the next position for an event that is not text; null once how it ends is decided. */
  takePosition(): Position | null;
  /** Asks it to end; after the first cause, and once it is ending by itself, this changes nothing. */
  cancel(cause: Cancellation): void;
  /** From here on no cancellation counts any more: how it ends is decided. */
  settle(): void;
  unsaved(): UnsavedText | null;
  saved(unsaved: UnsavedText): void;
}

export function createRunningGeneration(
  generation: Pick<RunningGeneration, 'id' | 'sessionId' | 'userId' | 'fence' | 'position'>,
): RunningGeneration {
  const { id, sessionId, userId, fence } = generation;
  const controller = new AbortController();
  let { position } = generation;
  let text = '';
  let savedLength = 0;
  let savedSegments = 0;
  let cancellation: Cancellation | null = null;
  let settled = false;

  return {
    id,
    sessionId,
    userId,
    fence,
    signal: controller.signal,
    get text() {
      return text;
    },
    get position() {
      return position;
    },
    get cancellation() {
      return cancellation;
    },
    append(added, at) {
      text += added;
      position = at;
    },
    takePosition() {
      if (settled || cancellation === 'fenced') return null;
      position = nextPosition(position);
      return position;
    },
    cancel(cause) {
      if (cancellation !== null || settled) return;
      cancellation = cause;
      controller.abort(new Error(`The generation is cancelled: ${cause}.`));
    },
    settle() {
      settled = true;
    },
    unsaved() {
      if (text.length === savedLength) return null;
      return { sequence: savedSegments, text: text.slice(savedLength), position };
    },
    saved(unsaved) {
      savedLength += unsaved.text.length;
      savedSegments = unsaved.sequence + 1;
    },
  };
}
