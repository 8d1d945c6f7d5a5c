import { expect, it } from 'vitest';
import { createCircuitBreaker, type CircuitBreaker } from '../../src/platform/circuit-breaker.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';

interface Circuit {
  readonly breaker: CircuitBreaker;
  readonly clock: ManualClock;
  readonly opened: () => number;
}

/** Opens at the third failure and rests for a second. */
function createCircuit(): Circuit {
  const clock = createManualClock();
  let opened = 0;
  const onOpen = () => {
    opened += 1;
  };
  return { breaker: createCircuitBreaker({ clock, threshold: 3, rest: 1_000, onOpen }), clock, opened: () => opened };
}

function fail({ breaker }: Circuit, calls: number) {
  for (let call = 0; call < calls; call += 1) breaker.enter()?.failed();
}

it('opens after so many failures in a row, and a success in between starts the count anew', () => {
  const circuit = createCircuit();
  fail(circuit, 2);
  circuit.breaker.enter()?.succeeded();
  fail(circuit, 2);
  circuit.breaker.enter()?.abandoned();
  expect(circuit.breaker.isOpen()).toBe(false);
  fail(circuit, 1);
  expect(circuit.breaker.isOpen()).toBe(true);
  expect(circuit.breaker.enter()).toBeNull();
  expect(circuit.opened()).toBe(1);
});

it('lets one call try after its rest, and closes when that succeeds', async () => {
  const circuit = createCircuit();
  fail(circuit, 3);
  await circuit.clock.advance(999);
  expect(circuit.breaker.enter()).toBeNull();
  await circuit.clock.advance(1);
  expect(circuit.breaker.isOpen()).toBe(false);
  const trial = circuit.breaker.enter();
  expect(circuit.breaker.enter()).toBeNull();
  expect(circuit.breaker.isTripped()).toBe(true);
  trial?.succeeded();
  expect(circuit.breaker.isTripped()).toBe(false);
  fail(circuit, 2);
  expect(circuit.breaker.isOpen()).toBe(false);
});

it('rests again when the trial fails, and gives the trial to another when it is abandoned', async () => {
  const circuit = createCircuit();
  fail(circuit, 3);
  await circuit.clock.advance(1_000);
  fail(circuit, 1);
  expect(circuit.opened()).toBe(2);
  expect(circuit.breaker.enter()).toBeNull();
  await circuit.clock.advance(1_000);
  circuit.breaker.enter()?.abandoned();
  expect(circuit.breaker.isTripped()).toBe(true);
  expect(circuit.breaker.enter()).not.toBeNull();
});

it('lets others in when the answer to the trial begins, and opens at the next failure', async () => {
  const circuit = createCircuit();
  fail(circuit, 3);
  await circuit.clock.advance(1_000);
  const trial = circuit.breaker.enter();
  trial?.responded();
  const next = circuit.breaker.enter();
  expect(next).not.toBeNull();
  next?.failed();
  expect(circuit.breaker.isOpen()).toBe(true);
});

it('learns nothing of a call from before it opened', async () => {
  const circuit = createCircuit();
  const [early, earlier] = [circuit.breaker.enter(), circuit.breaker.enter()];
  fail(circuit, 3);
  early?.succeeded();
  earlier?.failed();
  expect(circuit.breaker.isOpen()).toBe(true);
  expect(circuit.opened()).toBe(1);
  await circuit.clock.advance(1_000);
  expect(circuit.breaker.isOpen()).toBe(false);
});
