import type { Incoming } from './ws-frames.ts';

export interface WsIntakeOptions {
  /** What has to be over before `next` is taken, nothing in most cases; asked again when it is, `isNew` only the first time. */
  readonly obstacle: (next: Incoming, isNew: boolean) => Promise<void> | undefined;
  /** Takes a message; those behind it wait for the promise, where there is one. */
  readonly take: (message: Incoming) => Promise<void> | undefined;
  /** From when on nothing is taken any more. */
  readonly isOver: () => boolean;
  /** Told when `isBehind` has changed. */
  readonly onChange: () => void;
}

/**
 * Takes what a client says in its order. What cannot be taken yet waits, and the client is not read meanwhile: more than one
 * frame, and what came in the same read, is never held.
 */
export interface WsIntake {
  /** Whether messages wait. */
  readonly isBehind: boolean;
  /** Takes these messages now or later; the array is the intake's from then on. */
  add(messages: Incoming[]): void;
}

/** After so many waits others have their turn: a wait may be over before anything else was looked at. */
const waitsInTurn = 20;

export function createWsIntake({ obstacle, take, isOver, onChange }: WsIntakeOptions): WsIntake {
  let messages: Incoming[] = [];
  let position = 0;
  let isNew = true;
  let isBehind = false;

  /** Takes messages until something has to be waited for, which it returns. */
  function takeOn(): Promise<void> | undefined {
    for (let next = messages[position]; next !== undefined && !isOver(); next = messages[position]) {
      const before = obstacle(next, isNew);
      isNew = before === undefined;
      if (before !== undefined) return before;
      position += 1;
      const after = take(next);
      if (after !== undefined) return after;
    }
    messages = [];
    position = 0;
    return undefined;
  }

  async function catchUp(first: Promise<void>): Promise<void> {
    isBehind = true;
    onChange();
    let waits = 0;
    for (let wait: Promise<void> | undefined = first; wait !== undefined; wait = takeOn()) {
      await wait;
      waits += 1;
      if (waits % waitsInTurn === 0) await new Promise((resolve) => void setImmediate(resolve));
    }
    isBehind = false;
    onChange();
  }

  return {
    get isBehind() {
      return isBehind;
    },
    add(more) {
      if (isBehind) {
        for (const message of more) messages.push(message);
        return;
      }
      messages = more;
      const wait = takeOn();
      if (wait !== undefined) void catchUp(wait);
    },
  };
}
