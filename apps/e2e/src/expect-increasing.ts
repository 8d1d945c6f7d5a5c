import { expect } from 'vitest';

/** Each id is beyond the one before, compared as bytes. */
export function expectIncreasing(told: readonly { readonly id: string }[]): void {
  const ids = told.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)].toSorted());
}
