/** Seconds that a token lives and no other does, so that its end is a timer as none else: on a clock in the test's hands it comes by hand. */
export const tokenLife = 5000;

/** Whether a timer of this length waits for the end of such a token, or of what is said just before. */
export const isEndOfToken = (milliseconds: number): boolean => milliseconds > 4_000_000 && milliseconds <= 5_030_000;
