import { parseArgs } from 'node:util';
import { startWorld, type World } from '../src/world.ts';
import type { ListSize } from './compare-lists.ts';
import { compare, describeOutcome, type Comparison, type Outcome } from './comparison.ts';
import { compareObservers } from './observers/observers.ts';
import { compareSessionListTrpc } from './session-list-trpc/session-list-trpc.ts';
import { compareSessionList } from './session-list/session-list.ts';
import { compareSessionPages, type PagesSize } from './session-pages/session-pages.ts';
import { compareTokens } from './tokens/tokens.ts';

/*
 * Measures what the service costs as ratios to a floor of the same run: `npm run bench [-- name …]`. The result goes to
 * standard output, what is being measured to standard error. Ends with 1 where a goal was missed.
 */

type Prepare = (
  world: World,
  stack: AsyncDisposableStack,
  size: 'full' | 'smoke',
) => Promise<Comparison | readonly Comparison[]>;

const listSizes: Readonly<Record<'full' | 'smoke', ListSize>> = {
  full: { filling: { sessions: 100_000, users: 1000 }, repetition: { requests: 8000 } },
  smoke: { filling: { sessions: 1000, users: 10 }, repetition: { requests: 50 } },
};
const pagesSizes: Readonly<Record<'full' | 'smoke', PagesSize>> = {
  full: { few: 1000, many: 1_000_000, depth: 10_000, repetition: { requests: 4000 } },
  smoke: { few: 100, many: 2000, depth: 500, repetition: { requests: 50 } },
};

const benchmarks: Readonly<Record<string, Prepare>> = {
  tokens: (world, stack, size) => compareTokens(world, stack, { tokens: size === 'smoke' ? 100 : 25_000 }),
  observers: (world, stack, size) =>
    compareObservers(world, stack, size === 'smoke' ? { events: 50, turns: 1 } : { events: 300, turns: 6 }),
  'session-list': (world, stack, size) => compareSessionList(world, stack, listSizes[size]),
  'session-list-trpc': (world, stack, size) => compareSessionListTrpc(world, stack, listSizes[size]),
  'session-pages': (world, stack, size) => compareSessionPages(world, stack, pagesSizes[size]),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    // Shows that everything runs, and says nothing about speed.
    smoke: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const names = positionals.length === 0 ? Object.keys(benchmarks) : positionals;
const unknown = names.find((name) => !(name in benchmarks));
if (unknown !== undefined || !Number.isInteger(rounds) || rounds < 1) {
  const what = unknown === undefined ? '--rounds takes a whole number from 1.' : `There is no benchmark "${unknown}".`;
  process.stderr.write(`${what} There are: ${Object.keys(benchmarks).join(', ')}.\n`);
  process.exit(2);
}

const outcomes: Outcome[] = [];
for (const name of names) {
  await using world = await startWorld({ kind: 'sqlite', serve: false });
  await using stack = new AsyncDisposableStack();
  const prepared = (await benchmarks[name]?.(world, stack, values.smoke ? 'smoke' : 'full')) ?? [];
  for (const comparison of [prepared].flat()) {
    const outcome = await compare(comparison, values.smoke ? 1 : rounds, (line) => process.stderr.write(`${line}\n`));
    outcomes.push(outcome);
    if (!values.json) process.stdout.write(`${describeOutcome(outcome)}\n`);
  }
}
if (values.json) process.stdout.write(`${JSON.stringify(outcomes, null, 2)}\n`);
process.exit(outcomes.some(({ verdict }) => verdict === 'missed') ? 1 : 0);
