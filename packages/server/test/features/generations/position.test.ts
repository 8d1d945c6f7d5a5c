import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  comparePositions,
  formatArrivalId,
  formatBreakId,
  formatEventId,
  formatHistoryId,
  formatNoticeId,
  isResumable,
  isSamePosition,
  nextPosition,
  noticeOrdinal,
  parseEventId,
  parseSessionEventId,
  type Position,
} from '../../../src/features/generations/position.ts';
import { seed } from '../../../../shared/test/support/seed.ts';

const session = '01990000-0000-7000-8000-0123456789ab';
const other = '01990000-0000-7000-8000-0123456789ac';

/** What the columns of the database hold. */
const part = fc.integer({ min: 0, max: 0x7fff_ffff });
const positions = fc.record({ fence: part, number: part });

const byBytes = (a: string, b: string) => Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));

describe('positions', () => {
  it('are ordered by fence, then by number', () => {
    const ordered: Position[] = [
      { fence: 1, number: 0 },
      { fence: 1, number: 2 },
      { fence: 1, number: 10 },
      { fence: 2, number: 1 },
      { fence: 10, number: 0 },
    ];
    expect(ordered.toReversed().toSorted(comparePositions)).toEqual(ordered);
  });

  it('are the same only with the same fence and number', () => {
    expect(isSamePosition({ fence: 1, number: 2 }, { fence: 1, number: 2 })).toBe(true);
    expect(isSamePosition({ fence: 1, number: 2 }, { fence: 2, number: 2 })).toBe(false);
    expect(isSamePosition({ fence: 1, number: 2 }, { fence: 1, number: 3 })).toBe(false);
  });

  it('are dense within a fence', () => {
    expect(nextPosition({ fence: 7, number: 255 })).toEqual({ fence: 7, number: 256 });
  });
});

describe('event ids', () => {
  it('have a fixed width and end with the tag of their session', () => {
    expect(formatEventId(session, { fence: 1, number: 0x2f })).toBe('000000010000002f-456789ab');
  });

  it('are bytewise in the order of their positions', () => {
    fc.assert(
      fc.property(positions, positions, (a, b) => {
        const order = byBytes(formatEventId(session, a), formatEventId(session, b));
        expect(order).toBe(Math.sign(comparePositions(a, b)));
      }),
      { seed },
    );
  });

  it('are read back to the position that they stand for', () => {
    fc.assert(
      fc.property(positions, (position) => {
        expect(parseEventId(session, formatEventId(session, position))).toEqual(position);
      }),
      { seed },
    );
  });

  it('of another session are not readable', () => {
    expect(parseEventId(session, formatEventId(other, { fence: 1, number: 1 }))).toBeNull();
  });

  it('beyond every position that can be stored are not readable', () => {
    expect(parseEventId(session, '7fffffff7fffffff-456789ab')).toEqual({ fence: 0x7fff_ffff, number: 0x7fff_ffff });
    expect(parseEventId(session, '8000000000000001-456789ab')).toBeNull();
    expect(parseEventId(session, '0000000180000000-456789ab')).toBeNull();
  });

  it.each([
    '',
    '0',
    '1-2',
    '000000010000002f',
    '000000010000002f-',
    '000000010000002F-456789ab',
    '000000010000002g-456789ab',
    ' 000000010000002f-456789ab',
    '000000010000002f-456789ab\n',
    '0000000010000002f-456789ab',
    '000000010000002f-456789ab0',
    '000000010000002f-456789AB',
  ])('that nobody made are not readable: %j', (id) => {
    expect(parseEventId(session, id)).toBeNull();
  });
});

describe('ids beside those of the log', () => {
  const [place, next] = [
    { fence: 3, number: 7 },
    { fence: 3, number: 8 },
  ];
  const event = formatEventId(session, place);
  const told = [
    formatArrivalId(session, place, 1),
    formatHistoryId(session, place, 0),
    formatBreakId(formatHistoryId(session, place, 0)),
    formatHistoryId(session, place, 1),
    formatHistoryId(session, place, 'end'),
    formatHistoryId(session, place, 'end-amid-answer'),
    formatNoticeId(event, 1),
    formatNoticeId(formatHistoryId(session, place, 'end-amid-answer'), 2),
    formatNoticeId(formatNoticeId(event, 1), 0x1234_5678_9abc),
  ];

  it('stand in their order behind the event at their place and before the next', () => {
    const all = [event, ...told, formatEventId(session, next)];
    expect(all.toSorted()).toEqual(all);
  });

  it('are places to go on from once the history has been told, and from there on only', () => {
    const resumable = [event, ...told].filter((id) => parseSessionEventId(session, id) !== null);
    expect(resumable).toEqual([event, ...told.slice(4)]);
    expect([event, ...told].filter(isResumable)).toEqual(resumable);
    for (const id of resumable) expect(parseSessionEventId(session, id)).toEqual(place);
    for (const id of told) expect(parseSessionEventId(other, id)).toBeNull();
  });

  it('of a notice serve at the doors of a generation too', () => {
    expect(parseEventId(session, formatNoticeId(event, 5))).toEqual(place);
    expect(parseEventId(session, formatHistoryId(session, place, 'end'))).toBeNull();
    expect(noticeOrdinal(formatNoticeId(event, 0xabc))).toBe(0xabc);
    expect(noticeOrdinal(event)).toBe(0);
  });
});
