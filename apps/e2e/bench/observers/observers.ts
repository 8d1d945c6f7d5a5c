import { openTrpcClient } from '../../src/trpc-client.ts';
import type { World } from '../../src/world.ts';
import type { Comparison, Sample } from '../comparison.ts';
import { startMeasured, type MeasuredProcess } from '../measured-process.ts';
import { startService, type MeasuredService } from '../service.ts';
import { eventIn, openSocket, openTrpcSocket, type BareSocket } from '../bare-socket.ts';

export interface ObserversSize {
  /** @default 100 */
  readonly observers?: number;
  /** Events of each turn. */
  readonly events: number;
  /** Turns of each sample. */
  readonly turns: number;
}

/** Slow enough that every event is sent by itself and every client keeps up, on both sides. */
const paceMs = 3;

/** What one event costs that a hundred supervisors watch: the whole way of a token, and each socket it is sent to. */
export async function compareObservers(
  world: World,
  stack: AsyncDisposableStack,
  { observers = 100, events, turns }: ObserversSize,
): Promise<Comparison> {
  const service = stack.use(await startService(world));
  const floor = stack.use(startMeasured(new URL('broadcast-floor.ts', import.meta.url)));
  const floorUrl = `ws://127.0.0.1:${await floor.hear<number>('port')}`;
  /** Bytes of the event that the service sends, for the floor to send as many. */
  let bytes = 260;
  return {
    name: 'observers',
    unit: `one event to ${observers} observers`,
    against: 'a raw `ws` broadcast of one buffer',
    goal: 1.4,
    turns,
    floor: () => broadcast(floor, floorUrl, { observers, events, bytes }),
    async subject() {
      const sample = await observe(world, service, { observers, events });
      ({ bytes } = sample);
      return sample;
    },
  };
}

async function broadcast(
  floor: MeasuredProcess,
  url: string,
  { observers, events, bytes }: { observers: number; events: number; bytes: number },
): Promise<Sample> {
  using watchers = new DisposableStack();
  const all = await Promise.all(Array.from({ length: observers }, () => openSocket(url)));
  for (const watcher of all) watchers.use(watcher);
  const expected = Buffer.alloc(bytes, 'x');
  const before = await floor.cpu();
  const heard = all.map((watcher) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let left = events;
    watcher.onMessage((data) => {
      if (!data.equals(expected)) reject(new Error('the floor sent something else'));
      left -= 1;
      if (left === 0) resolve();
    });
    return promise;
  });
  floor.tell({ broadcast: { bytes, times: events, paceMs } });
  await Promise.all(heard);
  return { cpu: (await floor.cpu()) - before, units: events };
}

async function observe(
  world: World,
  service: MeasuredService,
  { observers, events }: { observers: number; events: number },
): Promise<Sample & { bytes: number }> {
  const chunks = Array.from({ length: events }, (_, index) => `token ${index} `);
  world.openai.script('default', { chunks, hold: [0, events], pace: paceMs, times: 1 });
  await using user = openTrpcClient(service.url, () => world.token('user'));
  const { sessionId } = await user.trpc.session.create.mutate({});
  const calls = world.openai.calls.length;
  await user.trpc.message.start.mutate({ sessionId, message: 'Be watched' });
  const call = await world.openai.call(calls);

  const whole = chunks.join('');
  using watchers = new DisposableStack();
  const token = await world.token('boss', { role: 'supervisor' });
  const readers = await Promise.all(
    Array.from({ length: observers }, async () => {
      const watcher = await openTrpcSocket(service.url, token, { path: 'supervisor.observe', input: { sessionId } });
      watchers.use(watcher);
      return readAnswer(watcher, whole);
    }),
  );
  await Promise.all(readers.map(({ live }) => live));
  const before = await service.cpu();
  call.release();
  const answers = await Promise.all(readers.map(({ told }) => told));
  const cpu = (await service.cpu()) - before;
  call.releaseAll();
  await Promise.all(readers.map(({ done }) => done));
  const [{ bytes, frames } = { bytes: 0, frames: 0 }] = answers;
  if (answers.some((answer) => answer.frames !== frames)) throw new Error('observers were told in different pieces');
  await user.trpc.session.delete.mutate({ sessionId });
  return { cpu, units: frames, bytes };
}

/** Joins the answer that is told: live from when its beginning has come, told when all its text has. */
function readAnswer(watcher: BareSocket, whole: string) {
  const live = Promise.withResolvers<void>();
  const told = Promise.withResolvers<{ frames: number; bytes: number }>();
  const done = Promise.withResolvers<void>();
  let text = '';
  let frames = 0;
  watcher.onMessage((data) => {
    const event = eventIn(data);
    if (event?.type === 'start') live.resolve();
    if (event?.type === 'done') done.resolve();
    if (event?.type !== 'chunk') return;
    text += event.text ?? '';
    frames += 1;
    if (text === whole) told.resolve({ frames, bytes: data.length });
    else if (text.length >= whole.length) told.reject(new Error('an observer was told another text'));
  });
  return { live: live.promise, told: told.promise, done: done.promise };
}
