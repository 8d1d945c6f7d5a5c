import type { FakeCall } from '../fake-openai.ts';
import { callOverHttp, type RawAnswer } from '../raw-http.ts';
import type { World } from '../world.ts';
import { dearUsage, type PlannedFault, type PlannedSend, type RunPlan, type SendKind } from './plan-run.ts';
import type { RestartingServer } from './restarting-server.ts';

/** What came of a run. */
export interface PlayedRun {
  readonly plan: RunPlan;
  /** Names of the faults that happened, as often as they did. */
  readonly faults: readonly string[];
  /** Statuses that the user was told, each with the code of a refusal. */
  readonly told: readonly string[];
}

/** While a server dies and another starts; a pause lies between, in milliseconds. */
const networkTries = 1_000;
const networkPause = 25;
/** Milliseconds between chunks: text is stored once a second. */
const slowPace = 250;
/** What is sent by those who wait for the whole answer. */
const waitingKinds: readonly SendKind[] = ['whole', 'slow', 'dear', 'fail-early', 'fail-late'];
/** Milliseconds: a call to the model that has not come by then does not come. */
const longestWait = 5_000;

/** Does what the user does. Rejects with what no fault explains. */
export async function playRun(world: World, server: RestartingServer, plan: RunPlan): Promise<PlayedRun> {
  const { userId, seed } = plan;
  const token = await world.token(userId, { expiresIn: 86_400 });
  const faults: string[] = [];
  const told: string[] = [];
  world.accounting.setAccount(userId, plan.credits);
  const takeBack = plan.faults.map((fault) => plant(world, userId, fault, faults));

  /** One call, made again where the server dies meanwhile, as clients do. */
  async function call(path: string, input: unknown): Promise<RawAnswer> {
    for (let tries = 1; ; tries += 1) {
      try {
        const answer = await callOverHttp(await server.url(), { type: 'mutation', path, input, token });
        told.push(`${answer.status}${answer.refusal === undefined ? '' : ` ${String(answer.refusal['code'])}`}`);
        return answer;
      } catch (error) {
        if (!(error instanceof TypeError) || tries === networkTries) throw error;
        await new Promise((resolve) => setTimeout(resolve, networkPause));
      }
    }
  }

  async function insist(path: string, input: unknown, patience: number): Promise<RawAnswer> {
    for (let left = patience; ; left -= 1) {
      const answer = await call(path, input);
      if (answer.status !== 503 || left === 0) return answer;
    }
  }

  /** Waits until the model has sent so much, has broken off, or was never called. */
  async function reach(text: string, at: number): Promise<void> {
    const patience = Date.now() + longestWait;
    while (Date.now() < patience) {
      const found = callAbout(world, text);
      if (found !== undefined) return Promise.race([found.reached(at).catch(() => undefined), found.ended]);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async function send(sessionId: string, text: string, planned: PlannedSend): Promise<void> {
    const { kind, at, chunks, modelId, maxTokens, patience } = planned;
    world.openai.script((body) => body.messages.at(-1)?.content.endsWith(text) === true, modelPlan(planned));
    const input = { sessionId, message: text, idempotencyKey: text, modelId, parameters: { maxTokens } };
    if (waitingKinds.includes(kind)) {
      return void (await insist('message.send', input, patience));
    }
    if (kind === 'twins') {
      return void (await Promise.all([1, 2].map(() => insist('message.send', input, patience))));
    }
    const started = await insist('message.start', input, patience);
    if (started.status !== 200) return;
    const { streamId } = started.result as { streamId: string };
    await reach(text, Math.min(at, chunks.length));
    if (kind === 'stop') await call('message.stop', { sessionId, streamId });
    if (kind === 'delete') await call('session.delete', { sessionId });
    if (kind === 'gone') callAbout(world, text)?.releaseAll();
  }

  async function converse(index: number, sends: readonly PlannedSend[]): Promise<void> {
    const opened = await insist('session.create', { idempotencyKey: `session ${index}` }, 3);
    const made = opened.result as { sessionId: string } | undefined;
    if (made === undefined) return;
    for (const [number, planned] of sends.entries()) {
      await send(made.sessionId, `Run ${seed}, session ${index}, message ${number}.`, planned);
    }
  }

  await Promise.all(plan.sessions.map((sends, index) => converse(index, sends)));
  await makeUp();
  for (const take of takeBack) take();
  return { plan, faults, told };

  /** What was planned to go wrong later than the run came goes wrong now. */
  async function makeUp(): Promise<void> {
    for (let tries = 0; faults.length < 2 && tries < 4; tries += 1) {
      const name = '500';
      const fault = { done: false, answer: { status: 500 } } as const;
      plant(world, userId, { name, operation: 'check', after: 0, times: 1, fault }, faults);
      await converse(10 + tries, []);
    }
  }
}

function plant(world: World, userId: string, planned: PlannedFault, happened: string[]): () => void {
  const { name, operation, after, times, fault } = planned;
  let seen = 0;
  let left = times;
  return world.accounting.fault(
    (request) => request.userId === userId && request.operation === operation,
    () => {
      seen += 1;
      if (seen <= after || left === 0) return null;
      left -= 1;
      happened.push(name);
      return fault;
    },
  );
}

function modelPlan({ kind, at, chunks }: PlannedSend) {
  switch (kind) {
    case 'whole':
    case 'twins':
      return { chunks };
    case 'slow':
      return { chunks, pace: slowPace };
    case 'dear':
      return { chunks, usage: dearUsage };
    case 'fail-early':
      return { status: 400 };
    case 'fail-late':
      return { chunks, fault: { at, kind: 'reset' as const } };
    case 'stop':
    case 'delete':
    case 'gone':
      return { chunks, hold: [at] };
  }
}

function callAbout({ openai }: World, text: string): FakeCall | undefined {
  return openai.calls.findLast(({ lastUserMessage }) => lastUserMessage.endsWith(text));
}
