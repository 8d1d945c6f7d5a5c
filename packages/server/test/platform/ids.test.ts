import { describe, expect, it } from 'vitest';
import { newRequestId, newUuid } from '../../src/platform/ids.ts';

const many = 2000;
const form = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u;
const make = (next: () => string) => Array.from({ length: many }, next);

describe.each([
  ['rows', newUuid],
  ['requests', newRequestId],
])('ids of %s', (_, next) => {
  it('are UUIDv7 and never the same', () => {
    const ids = make(next);
    expect(ids.filter((id) => !form.test(id))).toEqual([]);
    expect(new Set(ids).size).toBe(many);
  });

  it('share no random part, however many are made', () => {
    expect(new Set(make(next).map((id) => id.slice(-12))).size).toBe(many);
  });
});

it('ids of rows increase', () => {
  const ids = make(newUuid);
  expect(ids).toEqual(ids.toSorted());
});
