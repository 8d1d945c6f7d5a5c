import type { Clock } from '../platform/clock.ts';

export interface KeepAliveOptions {
  readonly clock: Clock;
  readonly ping: () => void;
  /** Whether everything said so far has been taken: only then can a ping have arrived. */
  readonly isTaken: () => boolean;
  /** Nothing has been heard in time. */
  readonly onDead: () => void;
}

export interface KeepAlive {
  /** Something, anything, has come from the client. */
  heard(): void;
  stop(): void;
}

const pingMs = 30_000;
const pongWaitMs = 10_000;

/** Pings a client regularly, and tells when it is gone. One that reads slowly is not: what it costs is bounded elsewhere. */
export function keepAlive({ clock, ping, isTaken, onDead }: KeepAliveOptions): KeepAlive {
  let heardSincePing = true;
  let cancel = () => {};

  function schedulePing() {
    cancel = clock.after(pingMs, () => {
      heardSincePing = false;
      ping();
      awaitPong();
    });
  }

  function awaitPong() {
    cancel = clock.after(pongWaitMs, () => {
      if (heardSincePing) schedulePing();
      else if (isTaken()) onDead();
      else awaitPong();
    });
  }

  schedulePing();
  return {
    heard() {
      heardSincePing = true;
    },
    stop: () => cancel(),
  };
}
