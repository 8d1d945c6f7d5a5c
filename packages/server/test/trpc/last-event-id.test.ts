import { expect, it } from 'vitest';
import {
  formatBreakId,
  formatEventId,
  formatNoticeId,
  parseSessionEventId,
} from '../../src/features/generations/position.ts';
import { newUuid } from '../../src/platform/ids.ts';
import { createRouteTable } from '../../src/transports/rest/route-table.ts';
import { declaredRouter } from '../support/declared-router.ts';

const subscriptions = createRouteTable(declaredRouter).routes.filter(({ type }) => type === 'subscription');
const sessionId = newUuid();

it.each(subscriptions)('$procedure takes an id of whatever length, and hands on a bounded part of it', ({ input }) => {
  const request = { sessionId, ...('idempotencyKey' in input.shape && { idempotencyKey: 'key' }) };
  const read = (lastEventId: unknown) => input.safeParse({ ...request, lastEventId }).data?.['lastEventId'];
  const id = formatEventId(sessionId, { fence: 2 ** 31 - 1, number: 2 ** 31 - 1 });
  for (const known of [id, formatBreakId(formatNoticeId(id, 2 ** 48 - 1)), '', null, undefined]) {
    expect(read(known)).toBe(known);
  }
  const cut = id.padEnd(512, 'f');
  for (const length of [512, 513, 5000]) expect(read(id.padEnd(length, 'f'))).toBe(cut);
  expect(parseSessionEventId(sessionId, cut)).toBeNull();
  expect(input.safeParse({ ...request, lastEventId: 5 }).success).toBe(false);
});
