import { beforeEach, expect, it } from 'vitest';
import type { Incoming } from '../../src/transports/ws-frames.ts';
import { createWsIntake } from '../../src/transports/ws-intake.ts';

const stop = (id: number): Incoming => ({ kind: 'stop', message: { id, method: 'subscription.stop' } });
const stops = (...ids: number[]) => ids.map(stop);
const idOf = (message: Incoming) => (message.kind === 'stop' ? message.message.id : null);
const nextTurn = () => new Promise((resolve) => void setImmediate(resolve));

let taken: unknown[];
let asked: unknown[];
let changes: boolean[];
let obstacles: Map<unknown, Promise<void>>;
let isOver: boolean;

beforeEach(() => {
  [taken, asked, changes] = [[], [], []];
  obstacles = new Map();
  isOver = false;
});

function intake(take: (id: unknown) => Promise<void> | undefined = () => undefined) {
  const created = createWsIntake({
    obstacle(next, isNew) {
      asked.push([idOf(next), isNew]);
      const obstacle = obstacles.get(idOf(next));
      obstacles.delete(idOf(next));
      return obstacle;
    },
    take(message) {
      taken.push(idOf(message));
      return take(idOf(message));
    },
    isOver: () => isOver,
    onChange: () => void changes.push(created.isBehind),
  });
  return created;
}

it('takes at once what nothing is in the way of', () => {
  const { add } = intake();
  add(stops(1, 2));
  add(stops(3));
  expect([taken, changes]).toEqual([[1, 2, 3], []]);
});

it('has what comes later wait behind what waits, and asks again before it goes on', async () => {
  const gate = Promise.withResolvers<void>();
  obstacles.set(2, gate.promise);
  const { add } = intake();
  add(stops(1, 2, 3));
  add(stops(4));
  await nextTurn();
  expect([taken, changes]).toEqual([[1], [true]]);
  gate.resolve();
  await nextTurn();
  expect([taken, changes]).toEqual([
    [1, 2, 3, 4],
    [true, false],
  ]);
  expect(asked).toEqual([
    [1, true],
    [2, true],
    [2, false],
    [3, true],
    [4, true],
  ]);
  add(stops(5));
  expect(taken).toEqual([1, 2, 3, 4, 5]);
});

it('takes one after the other what takes its time', async () => {
  const gates = [1, 2].map(() => Promise.withResolvers<void>());
  const { add } = intake((id) => gates[Number(id) - 1]?.promise);
  add(stops(1, 2, 3));
  expect(taken).toEqual([1]);
  gates[0]?.resolve();
  await nextTurn();
  expect(taken).toEqual([1, 2]);
  gates[1]?.resolve();
  await nextTurn();
  expect(taken).toEqual([1, 2, 3]);
});

it('takes nothing when it is over', async () => {
  const gate = Promise.withResolvers<void>();
  obstacles.set(2, gate.promise);
  const created = intake();
  created.add(stops(1, 2, 3));
  isOver = true;
  gate.resolve();
  await nextTurn();
  created.add(stops(4));
  expect([taken, created.isBehind, changes]).toEqual([[1], false, [true, false]]);
});
