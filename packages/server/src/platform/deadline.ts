import type { Clock } from './clock.ts';

/** Node's timers overflow beyond this and then fire at once. */
const longestTimerMs = 2 ** 31 - 1;

/** Calls back once the clock has reached `time` (milliseconds since the epoch), however far away that is; the returned function cancels. */
export function at(clock: Clock, time: number, callback: () => void): () => void {
  let cancel = () => {};
  const arm = () => {
    const wait = Math.min(Math.max(time - clock.now(), 0), longestTimerMs);
    cancel = clock.after(wait, () => (clock.now() >= time ? callback() : arm()));
  };
  arm();
  return () => cancel();
}
