/** Seconds without a sign of reading, as no other timer is long: on a clock in the test's hands they pass when it says so. */
export const stallSeconds = 3600;

/** Whether a timer of this length waits for a reader who does not read. */
export const isForStalled = (milliseconds: number): boolean =>
  milliseconds > (stallSeconds - 600) * 1000 && milliseconds <= stallSeconds * 1000;
