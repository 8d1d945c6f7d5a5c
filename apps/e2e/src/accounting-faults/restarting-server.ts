import type { ProbePoint } from '@chat-service/server/features/generations/probe';
import type { AccountingJournal } from '../accounting-journal.ts';
import type { ServerProcess } from '../server-child.ts';
import type { World } from '../world.ts';
import type { PlannedKill } from './plan-run.ts';

/** A server in a process of its own that dies where it is told to, and is then started anew. */
export interface RestartingServer extends AsyncDisposable {
  /** Its address, once it is up. */
  url(): Promise<string>;
  /** Changes with each start. */
  readonly starts: number;
  /** Where it died, in order. */
  readonly deaths: readonly ProbePoint[];
  /** Has it die at each of these in turn. */
  killAt(kills: readonly PlannedKill[]): Promise<void>;
  /** Lets it live from now on, and moves its clock forward so far that no circuit is open. */
  calm(): Promise<void>;
}

/** Longer than the circuits of models rest. */
const restSeconds = 31;

export async function startRestartingServer(world: World, journal: AccountingJournal): Promise<RestartingServer> {
  const deaths: ProbePoint[] = [];
  let kills: PlannedKill[] = [];
  let isOver = false;
  let starts = 0;
  let up: Promise<ServerProcess>;

  async function start(): Promise<ServerProcess> {
    const server = await world.spawn();
    starts += 1;
    const [next] = kills;
    if (next !== undefined) await server.arm({ killAt: next });
    void server.exited.then((how) => {
      if (isOver) return;
      const kill = kills.shift();
      if (how !== 'SIGKILL' || kill === undefined) {
        up = Promise.reject(new Error(`the server ended by itself (${how}):\n${server.logs.slice(-20).join('\n')}`));
        up.catch(() => undefined);
        return;
      }
      deaths.push(kill.point);
      up = restart();
      up.catch(() => undefined);
    });
    return server;
  }

  async function restart(): Promise<ServerProcess> {
    // Nobody waits for what a dead process has in hand: its leases are made to have run out.
    await journal.letWaitsPass();
    return start();
  }

  up = start();
  await up;
  return {
    deaths,
    get starts() {
      return starts;
    },
    async url() {
      return (await up).url;
    },
    async killAt(next) {
      kills = [...next];
      const [first] = kills;
      if (first !== undefined) await (await up).arm({ killAt: first });
    },
    async calm() {
      for (;;) {
        const server = await up;
        kills = kills.slice(0, 1);
        const armed = server.arm({ shiftSeconds: restSeconds }).then(() => true);
        if (await Promise.race([armed, server.exited.then(() => false)])) break;
        armed.catch(() => undefined);
      }
      kills = [];
    },
    async [Symbol.asyncDispose]() {
      isOver = true;
      const server = await up.catch(() => null);
      await server?.[Symbol.asyncDispose]();
    },
  };
}
