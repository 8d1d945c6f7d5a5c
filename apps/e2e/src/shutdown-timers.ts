/** Milliseconds that a shutdown gives to the last events of streams, to storing ends, and to all of it beyond the grace. */
const lengths: readonly number[] = [500, 4000, 4500];

/** Whether a timer of this length cuts a shutdown short: one that is only slow loses what it would have told. */
export const cutsShutdownShort = (milliseconds: number): boolean => lengths.includes(milliseconds);
