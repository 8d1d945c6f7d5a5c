import type { Clock } from '../../platform/clock.ts';
import { createWakeup, type Wakeup } from '../../platform/wakeup.ts';
import type { GenerationLog, WakeReason } from './generation-log.ts';
import type { RowWatch } from './row-watch.ts';

/** What wakes a reader: entries in the log, and changes of the row. Disposing ends it. */
export interface ReaderBells extends Disposable {
  /** Rings for both. */
  readonly entries: Wakeup;
  /** Whether the row has changed since it was last looked at. */
  readonly rowChanged: boolean;
  /** Whether the end cannot be told for now. */
  readonly severed: boolean;
  /** Whether its notices have rung since this was last asked. */
  takeNotice(): boolean;
  /** To be called before the row is read. */
  lookAtRow(): void;
  /** Counts the row as changed: what the log has now comes before what the row says. */
  lookAtRowAgain(): void;
  /**
   * Waits for a ring. Meanwhile `standIn` hears the log in this reader's place and passes on what the reader has to hear;
   * null where it does not.
   */
  waitWith(standIn: (wake: (reason: WakeReason) => void) => (() => void) | null, signal: AbortSignal): Promise<void>;
  /** Waits for the row alone, and not for long: what closes a gap in the log is a checkpoint. */
  waitForRow(clock: Clock, signal: AbortSignal): Promise<void>;
  /** Waits until it holds, asked at each ring, and not for long. */
  waitUntil(holds: () => Promise<boolean>, clock: Clock, signal: AbortSignal): Promise<void>;
}

export interface BellOptions {
  readonly log: GenerationLog;
  readonly sessionId: string;
  readonly watch: RowWatch;
  /** Id of the row that is watched. */
  readonly watched: string;
  /** Rings for what this reader is told beside the log. */
  readonly listenToNotices?: ((ring: () => void) => () => void) | undefined;
}

const gapMs = 250;

export function listen({ log, sessionId, watch, watched, listenToNotices }: BellOptions): ReaderBells {
  const entries = createWakeup();
  const row = createWakeup();
  let rowChanged = false;
  let severed = false;
  let noticed = false;
  const ringRow = () => {
    rowChanged = true;
    row.ring();
    entries.ring();
  };
  const onLog = (reason: WakeReason) => {
    if (reason === 'entries') return entries.ring();
    severed ||= reason === 'severed';
    ringRow();
  };
  let leaveLog = log.subscribe(sessionId, onLog);
  const leaveWatch = watch.watch(watched, ringRow);
  const leaveNotices = listenToNotices?.(() => {
    noticed = true;
    entries.ring();
  });
  return {
    entries,
    get rowChanged() {
      return rowChanged;
    },
    get severed() {
      return severed;
    },
    takeNotice() {
      const taken = noticed;
      noticed = false;
      return taken;
    },
    lookAtRow() {
      rowChanged = false;
      row.clear();
    },
    lookAtRowAgain() {
      rowChanged = true;
    },
    async waitWith(standIn, signal) {
      let leave: (() => void) | null = null;
      const comeBack = () => {
        const left = leave;
        leave = null;
        if (left === null) return;
        leaveLog = log.subscribe(sessionId, onLog);
        left();
      };
      leave = standIn((reason) => {
        // From this moment on: what the log says next does not wait until this has gone on.
        comeBack();
        onLog(reason);
      });
      if (leave !== null) {
        leaveLog();
        leaveLog = leave;
      }
      await entries.wait(signal);
      comeBack();
    },
    async waitForRow(clock, signal) {
      const cancel = clock.after(gapMs, row.ring);
      await row.wait(signal);
      cancel();
    },
    async waitUntil(holds, clock, signal) {
      let isOver = false;
      const cancel = clock.after(gapMs, () => {
        isOver = true;
        entries.ring();
      });
      entries.clear();
      while (!isOver && !signal.aborted && !(await holds())) {
        await entries.wait(signal);
        entries.clear();
      }
      cancel();
    },
    [Symbol.dispose]() {
      leaveLog();
      leaveWatch();
      leaveNotices?.();
    },
  };
}
