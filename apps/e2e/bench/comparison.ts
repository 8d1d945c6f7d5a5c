/** One run of one side: what it cost, and for how much work, all of which was counted and compared where it arrived. */
export interface Sample {
  /** CPU time of the server, all threads, in microseconds. */
  readonly cpu: number;
  /** Units of work done. */
  readonly units: number;
}

export interface Comparison {
  readonly name: string;
  /** What is done once by either side, as in "one event to 100 observers". */
  readonly unit: string;
  /** The floor in words. */
  readonly against: string;
  /** The largest ratio to the floor that is good enough. */
  readonly goal: number;
  /**
   * How many runs of each side, in turns, make one sample: a machine whose speed changes from second to second then changes
   * all sides alike. @default 1
   */
  readonly turns?: number;
  floor(): Promise<Sample>;
  subject(): Promise<Sample>;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export type Verdict = 'met' | 'missed' | 'inconclusive';

export interface Outcome {
  readonly name: string;
  readonly unit: string;
  readonly against: string;
  readonly goal: number;
  readonly rounds: number;
  /** Of the subject to the floor around it. */
  readonly ratio: Spread;
  /** Microseconds of CPU a unit. */
  readonly floor: Spread;
  readonly subject: Spread;
  /** How far the two floors of a round are apart, the median of all rounds: 0.05 is five per cent. */
  readonly floorDifference: number;
  readonly verdict: Verdict;
  /** Why nothing can be concluded; empty where something can. */
  readonly doubts: readonly string[];
}

/** Two identical floors that differ by more make the run inconclusive. */
const maxFloorDifference = 0.08;
/** Microseconds of CPU below which a sample says little. */
const minSampleCpu = 500_000;

/**
 * Measures floor, subject and the floor again in each round, so that a machine that slows down slows both, and the floor
 * is held against itself. The first round of all is warm-up and does not count.
 */
export async function compare(comparison: Comparison, rounds: number, told: (line: string) => void): Promise<Outcome> {
  const samples: { before: Sample; subject: Sample; after: Sample }[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const { before, subject, after } = await takeTurns(comparison);
    const line = [before, subject, after].map((sample) => `${costOf(sample).toFixed(1)} us`).join(', ');
    told(`${comparison.name}: ${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}: ${line}`);
    if (round > 0) samples.push({ before, subject, after });
  }
  return conclude(comparison, samples);
}

async function takeTurns({ turns = 1, floor, subject }: Pick<Comparison, 'turns' | 'floor' | 'subject'>) {
  const sides = { before: nothing, subject: nothing, after: nothing };
  for (let turn = 0; turn < turns; turn += 1) {
    sides.before = sum(sides.before, await floor());
    sides.subject = sum(sides.subject, await subject());
    sides.after = sum(sides.after, await floor());
  }
  return sides;
}

const nothing: Sample = { cpu: 0, units: 0 };

function sum(a: Sample, b: Sample): Sample {
  return { cpu: a.cpu + b.cpu, units: a.units + b.units };
}

export function conclude(
  { name, unit, against, goal }: Omit<Comparison, 'floor' | 'subject'>,
  samples: readonly { before: Sample; subject: Sample; after: Sample }[],
): Outcome {
  const ratio = spread(
    samples.map(({ before, subject, after }) => (2 * costOf(subject)) / (costOf(before) + costOf(after))),
  );
  const floorDifference = spread(
    samples.map(({ before, after }) => differenceOf(costOf(before), costOf(after))),
  ).median;
  const doubts: string[] = [];
  if (floorDifference > maxFloorDifference) {
    doubts.push(`two identical floors differ by ${percent(floorDifference)}, more than ${percent(maxFloorDifference)}`);
  }
  const all = samples.flatMap((sample) => [sample.before, sample.subject, sample.after]);
  const shortest = Math.min(...all.map(({ cpu }) => cpu));
  if (shortest < minSampleCpu)
    doubts.push(`the shortest sample is ${(shortest / 1e6).toFixed(2)} s of CPU, below 0.5 s`);
  return {
    name,
    unit,
    against,
    goal,
    rounds: samples.length,
    ratio,
    floor: spread(samples.flatMap((sample) => [costOf(sample.before), costOf(sample.after)])),
    subject: spread(samples.map(({ subject }) => costOf(subject))),
    floorDifference,
    verdict: doubts.length > 0 ? 'inconclusive' : ratio.median <= goal ? 'met' : 'missed',
    doubts,
  };
}

export function describeOutcome(outcome: Outcome): string {
  const { name, unit, against, goal, rounds, ratio, floor, subject, floorDifference, verdict, doubts } = outcome;
  return [
    `${name}: ${unit}, against ${against}`,
    `  ratio ${written(ratio, 2)} in ${rounds} rounds; goal at most ${goal}: ${verdict}`,
    `  CPU of the server: floor ${written(floor, 1)} us, service ${written(subject, 1)} us; the floor against itself ${percent(floorDifference)}`,
    ...doubts.map((doubt) => `  ${doubt}`),
  ].join('\n');
}

function costOf({ cpu, units }: Sample): number {
  return cpu / units;
}

function differenceOf(a: number, b: number): number {
  return Math.abs(a - b) / Math.min(a, b);
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
  return { median, least: sorted[0] ?? NaN, most: sorted.at(-1) ?? NaN };
}

function written({ median, least, most }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
