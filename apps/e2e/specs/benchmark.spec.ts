import { expect, it } from 'vitest';
import { compare, conclude, describeOutcome, type Sample } from '../bench/comparison.ts';

const what = { name: 'tokens', unit: 'one token', against: 'a relay', goal: 1.5 };
/** Of 10 units, each at so many seconds of CPU. */
const sample = (seconds: number): Sample => ({ cpu: seconds * 10e6, units: 10 });
const round = (before: number, subject: number, after: number) => ({
  before: sample(before),
  subject: sample(subject),
  after: sample(after),
});

it('holds each subject against the floors around it', () => {
  const outcome = conclude(what, [round(1, 1.2, 1), round(2, 3, 2), round(1, 1.4, 1)]);
  expect(outcome).toMatchObject({ verdict: 'met', rounds: 3, floorDifference: 0 });
  expect(outcome.ratio.median).toBeCloseTo(1.4);
  expect([outcome.ratio.least, outcome.ratio.most]).toEqual([1.2, 1.5]);
  expect(outcome.subject).toEqual({ median: 1_400_000, least: 1_200_000, most: 3_000_000 });
  expect(describeOutcome(outcome)).toContain('ratio 1.40 (1.20 to 1.50) in 3 rounds; goal at most 1.5: met');
});

it('says where the goal is missed', () => {
  const { verdict, ratio } = conclude(what, [round(1, 1.6, 1), round(1, 1.5, 1)]);
  expect(verdict).toBe('missed');
  expect(ratio.median).toBeCloseTo(1.55);
});

it('concludes nothing from floors that differ, whatever the ratio', () => {
  const outcome = conclude(what, [round(1, 1, 1.09), round(1, 3, 1.1), round(1, 1, 1.1)]);
  expect(outcome.verdict).toBe('inconclusive');
  expect(outcome.doubts).toEqual(['two identical floors differ by 10.0 %, more than 8.0 %']);
});

it('is not deceived by floors whose differences cancel out', () => {
  const { verdict, floorDifference } = conclude(what, [round(1, 2, 2), round(2, 2, 1), round(1, 2, 2), round(2, 2, 1)]);
  expect(verdict).toBe('inconclusive');
  expect(floorDifference).toBe(1);
});

it('concludes nothing from samples that are too short', () => {
  const short = { before: { cpu: 499_999, units: 1 }, subject: sample(1), after: sample(1) };
  expect(conclude(what, [short, short]).doubts).toContain('the shortest sample is 0.50 s of CPU, below 0.5 s');
});

it('does not count the first round, and measures the floor on both sides of the service', async () => {
  const order: string[] = [];
  let floors = 0;
  const outcome = await compare(
    {
      ...what,
      async floor() {
        order.push('floor');
        floors += 1;
        return sample(floors <= 2 ? 9 : 1);
      },
      async subject() {
        order.push('subject');
        return sample(1);
      },
    },
    2,
    () => undefined,
  );
  expect(order).toEqual(Array.from({ length: 3 }, () => ['floor', 'subject', 'floor']).flat());
  expect(outcome.ratio).toEqual({ median: 1, least: 1, most: 1 });
});

it('makes one sample of several turns of both sides', async () => {
  const order: string[] = [];
  const side = (name: string, costs: number[]) => async () => {
    order.push(name);
    return sample(costs.shift() ?? 1);
  };
  const turns = { ...what, turns: 2, floor: side('floor', []), subject: side('subject', [1, 1, 1, 3]) };
  const outcome = await compare(turns, 1, () => undefined);
  expect(order).toEqual(Array.from({ length: 4 }, () => ['floor', 'subject', 'floor']).flat());
  expect(outcome).toMatchObject({ rounds: 1, ratio: { median: 2 } });
});
