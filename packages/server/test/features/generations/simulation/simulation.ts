import { createActions } from './actions.ts';
import { textAt } from './script.ts';
import { createWorld, type CreateRows, type Tally, type World } from './world.ts';

/** More than any run has been seen to need: what is not over by then hangs. */
const mostSteps = 20_000;
/** Time on the clock of the run: for leases to run out, for a database to be waited for; then for everyone to be told. */
const mostMilliseconds = { forGenerations: 60_000, forReaders: 10_000 };

/**
 * Plays one schedule that the seed decides: instances that run generations, stand still, die and take over; readers that
 * come, stall, are cut and resume.
 * @throws Error with the seed and what happened, when a reader was told anything but the truth, or was not told the end
 */
export async function playSchedule(seed: number, createRows: CreateRows): Promise<Tally> {
  const world = await createWorld(seed, createRows);
  const { random, schedule, generations, running, join, assertSound } = world;
  const actAtRandom = createActions(world);
  const steps = 60 + random.below(240);
  for (let step = 0; step < steps; step += 1) {
    if (random.chance(0.3)) {
      actAtRandom();
      await schedule.settle();
    } else await schedule.step();
    assertSound();
  }
  await finish(world);
  for (const generation of generations) {
    if (random.chance(0.5)) join(generation, random.pick(running()), random.pick(['named', 'unreadable'] as const));
  }
  await finish(world);
  await comeBack(world);
  await checkRows(world);
  assertSound();
  return world.tally;
}

/** Everything comes to its end by itself, once nothing more goes wrong. */
async function finish(world: World): Promise<void> {
  const { random, schedule, rows, instances, waiters, starting } = world;
  const { violation, reconnect, awaitEnd, assertSound, disconnected, pullable } = world;
  rows.faulty = false;
  for (const { process } of instances) process.state = 'running';
  let until = schedule.now() + mostMilliseconds.forGenerations;
  let haveEnded = false;
  for (let steps = 0; ; steps += 1) {
    assertSound();
    if (steps % 8 === 0) {
      const live = await unfinishedGenerations(world);
      if (live.length === 0 && starting.size === 0 && !haveEnded) {
        haveEnded = true;
        until = schedule.now() + mostMilliseconds.forReaders;
      }
      const left = [...live, ...unfinishedReaders(world)];
      if (left.length === 0 && starting.size === 0) return;
      if (steps > mostSteps || schedule.now() > until) violation(`no end for ${left.join(', ')}`);
    }
    for (const reader of disconnected()) if (random.chance(0.2)) reconnect(reader);
    for (const reader of pullable()) if (random.chance(0.5)) reader.pull();
    for (const waiter of waiters) if (waiter.instance === null && !waiter.done) awaitEnd(waiter);
    await schedule.settle();
    // Time passes when nobody can do anything, or the readers alone would be what takes it.
    const isQuiet = disconnected().length === 0 && pullable().length === 0;
    if (!(await schedule.step()) && (isQuiet || random.chance(0.05))) schedule.advanceToNextTimer();
  }
}

function unfinishedReaders({ readers, waiters }: World): string[] {
  const left = readers.filter(({ outcome }) => outcome === null).map(({ name }) => name);
  for (const { generation, done } of waiters) if (!done) left.push(`a waiter for ${generation.id}`);
  return left;
}

async function unfinishedGenerations({ generations, rows }: World): Promise<string[]> {
  const left: string[] = [];
  for (const { id } of generations) {
    const status = (await rows.generation(id))?.status;
    if (status === undefined || status === 'reserving' || status === 'running') left.push(id);
  }
  return left;
}

/** Who comes back with the id of the end is told nothing more. */
async function comeBack({ random, schedule, readers, running, violation, assertSound }: World): Promise<void> {
  const ended = readers.filter(({ outcome }) => outcome === 'ended');
  for (const reader of ended) {
    reader.comeBack();
    reader.connect(random.pick(running()), random.pick(['resume', 'resume-named'] as const));
    reader.pull();
  }
  for (let steps = 0; ended.some(({ instance }) => instance !== null); steps += 1) {
    if (steps > mostSteps) violation('who came back after the end was not let go');
    assertSound();
    if (!(await schedule.step())) schedule.advanceToNextTimer();
  }
}

async function checkRows({ rows, generations, count, violation }: World): Promise<void> {
  for (const { id, claimFence, script } of generations) {
    const row = await rows.generation(id);
    const status = row?.status ?? 'gone';
    count(status);
    if (row === null || status === 'refused') continue;
    const content = (await rows.message(id))?.content ?? '';
    const whole = script.texts.join('');
    if (!whole.startsWith(content)) violation(`${id} is stored as ${content}, which is not what the model said`);
    if (row.fence === claimFence && content !== textAt(script, row.textNumber))
      violation(`${id}: text and place differ`);
    if (!content.startsWith(await rows.checkpointed(id))) violation(`${id} has lost text that was stored`);
    if (status === 'complete' && content !== whole) violation(`${id} is complete without all of its text`);
    if (row.endFence !== row.fence) violation(`${id} was ended under a fence that was not its own any more`);
    if (row.fence > claimFence) count('take-over');
    if ((await rows.segmentText(id)) !== null) violation(`${id} has left text beside its message`);
  }
}
