/**
 * Time limits of models in seconds, as long as no other timer of the service: on a clock in the test's hands they pass when
 * it says so, and however slow the machine is, none of them passes by itself.
 */
const limits = { firstToken: 211, idle: 222, total: 233 } as const;

export type Limit = keyof typeof limits;

/** Of the catalogue: each with one limit that is the first to pass. */
export const limitedModels = [
  { id: 'late-model', timeouts: { firstToken: limits.firstToken } },
  { id: 'idle-model', timeouts: { firstToken: 290, idle: limits.idle } },
  { id: 'endless-model', timeouts: { firstToken: 290, idle: 290, total: limits.total } },
];

/** Whether a timer of this length waits for that limit, of which a moment may have passed before. */
export const isLimit = (name: Limit) => (milliseconds: number) =>
  milliseconds > (limits[name] - 10) * 1000 && milliseconds <= limits[name] * 1000;

export const isAnyLimit = (milliseconds: number): boolean =>
  isLimit('firstToken')(milliseconds) || isLimit('idle')(milliseconds) || isLimit('total')(milliseconds);
