import { setTimeout as pause } from 'node:timers/promises';

/** In a process that was not let run nothing can have happened, however late it is: it looks so many times all the same. */
const patience = { milliseconds: 60_000, looks: 200 };
/** Milliseconds between two looks. */
const interval = 5;

/**
 * What `look` returns at last, once it throws no more. Unlike `vi.waitFor` it leaves a faked clock where it is.
 *
 * @throws what `look` threw last, when that has taken longer than anything may
 */
export async function eventually<Result>(look: () => Result | Promise<Result>): Promise<Result> {
  const deadline = performance.now() + patience.milliseconds;
  for (let looks = 1; ; looks += 1) {
    try {
      return await look();
    } catch (error) {
      if (looks >= patience.looks && performance.now() >= deadline) throw error;
    }
    await pause(interval);
  }
}
