let due: (() => void)[] = [];

/** Calls back at the end of this turn of the event loop, in the order of asking: one `setImmediate` serves all. */
export function runAtTurnEnd(callback: () => void): void {
  due.push(callback);
  if (due.length === 1) setImmediate(runDue);
}

function runDue(): void {
  const callbacks = due;
  due = [];
  let called = 0;
  try {
    for (const callback of callbacks) {
      called += 1;
      callback();
    }
  } finally {
    // One that throws must not silence the others.
    for (const callback of callbacks.slice(called)) runAtTurnEnd(callback);
  }
}

let turn = 0;
let isTurnCounted = false;

/** Tells one turn of the event loop from the next. */
export function currentTurn(): number {
  if (!isTurnCounted) {
    isTurnCounted = true;
    setImmediate(onTurnOver);
  }
  return turn;
}

function onTurnOver(): void {
  turn += 1;
  isTurnCounted = false;
}
