import type { Clock } from '../../platform/clock.ts';
import { createWakeup, type Wakeup } from '../../platform/wakeup.ts';
import type { GenerationLog } from './generation-log.ts';
import type { RowWatch } from './row-watch.ts';

/** What wakes a reader: entries in the log, and changes of the row. Disposing ends it. */
export interface ReaderBells extends Disposable {
  /** Rings for both. */
  readonly entries: Wakeup;
  /** While it is set, asked first when there are entries: where it holds, they are dealt with and nothing rings. */
  shortcut: (() => boolean) | null;
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
  const leaveLog = log.subscribe(sessionId, (reason) => {
    if (reason === 'entries') {
      if (bells.shortcut?.() !== true) entries.ring();
      return;
    }
    severed ||= reason === 'severed';
    ringRow();
  });
  const leaveWatch = watch.watch(watched, ringRow);
  const leaveNotices = listenToNotices?.(() => {
    noticed = true;
    entries.ring();
  });
  const bells: ReaderBells = {
    entries,
    shortcut: null,
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
  return bells;
}
