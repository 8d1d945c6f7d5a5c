import type { ProbePoint } from '@chat-service/server/features/generations/probe';
import { createRandom, type Random } from '../../../../packages/server/test/features/generations/simulation/random.ts';
import type { FakeOperation } from '../fake-accounting-wire.ts';
import { fakeFaults, type FakeFault } from '../fake-accounting.ts';

/**
 * How an answer is to end. `gone`: nobody waits for it. `twins`: it is sent twice at once, under one key. `dear`: the model
 * counts more than anybody has held for it. `slow`: it takes as long as its text is stored meanwhile.
 */
export type SendKind = 'whole' | 'dear' | 'slow' | 'twins' | 'stop' | 'fail-early' | 'fail-late' | 'delete' | 'gone';

export interface PlannedSend {
  readonly kind: SendKind;
  /** Of the whole answer. */
  readonly chunks: readonly string[];
  /** The chunk before which it is stopped, left or broken. */
  readonly at: number;
  readonly modelId: string;
  readonly maxTokens: number;
  /** How often a client that is refused with 503 tries again, under the same key. */
  readonly patience: number;
}

export interface PlannedFault {
  readonly name: string;
  readonly operation: FakeOperation;
  /** So many calls of this kind go well before. */
  readonly after: number;
  readonly times: number;
  readonly fault: FakeFault;
}

export interface PlannedKill {
  readonly point: ProbePoint;
  readonly nth: number;
}

/** What one user does, and what goes wrong meanwhile. */
export interface RunPlan {
  readonly seed: number;
  readonly userId: string;
  /** Millionths. */
  readonly credits: number;
  /** Conversations at the same time, each with its sends one after the other. */
  readonly sessions: readonly (readonly PlannedSend[])[];
  /** At least two. */
  readonly faults: readonly PlannedFault[];
  /** Of the server that all runs share. */
  readonly kill: PlannedKill | null;
}

export const killPoints = [
  'claimed',
  'reserving',
  'reserved',
  'admitted',
  'provider-called',
  'streaming',
  'checkpointed',
  'ending',
  'ended',
  'published',
  'delivering',
  'delivered',
] as const satisfies readonly ProbePoint[];

/** Of each the operation that it happens to, where not to any. */
const faultKinds: readonly { name: string; operation: readonly FakeOperation[]; fault: FakeFault }[] = [
  { name: 'down', operation: ['check', 'record', 'release'], fault: fakeFaults.reset },
  { name: 'slow', operation: ['check', 'record'], fault: { done: true, answer: 'truth', delayMs: 40 } },
  { name: 'slow past the time-out', operation: ['check', 'record', 'release'], fault: fakeFaults.hang },
  { name: 'done past the time-out', operation: ['check', 'record', 'release'], fault: fakeFaults.lateAnswer },
  { name: '500', operation: ['check', 'record', 'release'], fault: fakeFaults.serverError },
  { name: 'garbage', operation: ['check', 'record'], fault: fakeFaults.wrongJson },
  { name: 'a page', operation: ['check', 'record', 'release'], fault: fakeFaults.html },
  { name: 'unauthorized', operation: ['check', 'record', 'release'], fault: fakeFaults.unauthorized },
  { name: 'recorded, no answer', operation: ['record'], fault: fakeFaults.lostAnswer },
  { name: 'held, no answer', operation: ['check'], fault: fakeFaults.lostAnswer },
  { name: 'released, no answer', operation: ['release'], fault: fakeFaults.lostAnswer },
  { name: 'acknowledged as known', operation: ['record'], fault: fakeFaults.already },
];

export const faultNames = faultKinds.map(({ name }) => name);

/** Prices differ, and one has a dearer fallback. */
export const runModels = [
  { id: 'run-a', creditCost: { input: 1, output: 2 } },
  { id: 'run-b', creditCost: { input: 0.333333, output: 0.777777 } },
  { id: 'run-c', creditCost: { input: 0, output: 0.000001 } },
  { id: 'run-d', creditCost: { input: 2, output: 1 }, fallback: 'run-e' },
  { id: 'run-e', creditCost: { input: 1, output: 5 } },
];

const sendKinds: readonly SendKind[] = ['whole', 'slow', 'dear', 'twins', 'stop', 'stop', 'fail-early', 'fail-late'];
/** After these there is nothing more to say in a session. */
const lastKinds: readonly SendKind[] = ['delete', 'gone', 'whole', 'stop'];

/** Of an answer that is `dear`. */
export const dearUsage = { prompt_tokens: 5_000, completion_tokens: 5_000, total_tokens: 10_000 };

export function planRun(seed: number): RunPlan {
  const random = createRandom(seed);
  const times = (count: number) => Array.from({ length: count });
  // A token of an answer is worth about 2,000 millionths: some can pay for everything, some for an answer or two.
  const credits = random.chance(0.6) ? 1_000_000_000 : 100_000 + random.below(400_000);
  const sessions = times(1 + random.below(2)).map(() => {
    const count = 2 + random.below(2);
    return times(count).map((_, index) => planSend(random, index === count - 1 ? lastKinds : sendKinds));
  });
  const faults = times(2 + random.below(3)).map((_, index) => planFault(random, index));
  const kill = random.chance(0.6) ? { point: random.pick(killPoints), nth: 1 + random.below(4) } : null;
  return { seed, userId: `run-${seed}`, credits, sessions, faults, kill };
}

/** A token each, also when they are counted as one text. */
const words = [' one', ' two', ' three', ' four', ' five', ' six'];

function planSend(random: Random, kinds: readonly SendKind[]): PlannedSend {
  const chunks = words.slice(0, 1 + random.below(words.length));
  return {
    kind: random.pick(kinds),
    chunks,
    at: random.below(chunks.length + 1),
    modelId: random.pick(runModels).id,
    maxTokens: 20 + random.below(80),
    patience: random.below(3),
  };
}

/** The first two come early, and to something that every run does. */
function planFault(random: Random, index: number): PlannedFault {
  const kind = random.pick(
    index === 0 ? faultKinds.filter(({ operation }) => operation.includes('check')) : faultKinds,
  );
  const operation = index === 0 ? 'check' : random.pick(kind.operation);
  const past = kind.fault.answer === 'hang';
  return {
    name: kind.name,
    operation,
    after: random.below(index < 2 ? 2 : 4),
    // What waits for the time-out takes its 2 s each time.
    times: past ? 1 : 1 + random.below(3),
    fault: kind.fault,
  };
}
