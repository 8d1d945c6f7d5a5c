import { randomUUID } from 'node:crypto';
import { openTrpcClient } from '../../src/trpc-client.ts';
import type { World } from '../../src/world.ts';
import { eventIn, openSocket, openTrpcSocket, type BareSocket } from '../bare-socket.ts';
import type { Comparison, Sample } from '../comparison.ts';
import { startMeasured } from '../measured-process.ts';
import { startService } from '../service.ts';

export interface TokensSize {
  /** Answers at once. @default 8 */
  readonly streams?: number;
  /** Tokens of each answer. */
  readonly tokens: number;
}

/** What one token costs on its whole way from the provider to one client, with the server never waiting. */
export async function compareTokens(
  world: World,
  stack: AsyncDisposableStack,
  { streams = 8, tokens }: TokensSize,
): Promise<Comparison> {
  const service = stack.use(await startService(world));
  const floor = stack.use(startMeasured(new URL('relay-floor.ts', import.meta.url)));
  const floorUrl = `ws://127.0.0.1:${await floor.hear<number>('port')}`;
  const texts = Array.from({ length: tokens }, (_, index) => `token ${index} `);
  world.openai.script('default', { raw: framesOf(texts) });
  const whole = texts.join('');
  const users = Array.from({ length: streams }, (_, index) => `user-${index}`);

  async function sample(
    side: { cpu(): Promise<number> },
    open: (user: string) => Promise<BareSocket>,
  ): Promise<Sample> {
    const calls = world.openai.calls.length;
    const before = await side.cpu();
    using sockets = new DisposableStack();
    const answers = users.map(async (user) => readAnswer(sockets.use(await open(user))));
    for (const text of await Promise.all(answers))
      if (text !== whole) throw new Error('a client was told another text');
    if (world.openai.calls.length !== calls + streams) throw new Error('the provider was not asked once for each');
    return { cpu: (await side.cpu()) - before, units: streams * tokens };
  }

  return {
    name: 'tokens',
    unit: 'one streamed token, from the provider to a client over tRPC on WebSocket, saturated',
    against: 'a bare `ws` relay that parses and serialises',
    goal: 3,
    floor: () =>
      sample(floor, (prompt) => openSocket(floorUrl, [{ url: `${world.openai.baseUrl}/chat/completions`, prompt }])),
    async subject() {
      const sessions = await Promise.all(users.map((user) => openSession(world, service.url, user)));
      return sample(service, async (user) => {
        const sessionId = sessions[users.indexOf(user)] ?? '';
        const input = { sessionId, message: 'Say much', idempotencyKey: randomUUID() };
        return openTrpcSocket(service.url, await world.token(user), { path: 'message.stream', input });
      });
    },
  };
}

async function openSession(world: World, url: string, user: string): Promise<string> {
  await using connection = openTrpcClient(url, () => world.token(user));
  const { sessionId } = await connection.trpc.session.create.mutate({});
  return sessionId;
}

/** The provider's stream, each token a piece by itself. */
function framesOf(texts: readonly string[]): string[] {
  const frame = { id: 'bench', object: 'chat.completion.chunk', created: 0, model: 'bench' };
  const event = (choice: object, further: object = {}) =>
    `data: ${JSON.stringify({ ...frame, choices: [{ index: 0, finish_reason: null, delta: {}, ...choice }], ...further })}\n\n`;
  const frames = texts.map((content) => event({ delta: { content } }));
  const usage = { prompt_tokens: 2, completion_tokens: texts.length, total_tokens: texts.length + 2 };
  return [...frames, event({ finish_reason: 'stop' }, { usage }), 'data: [DONE]\n\n'];
}

/** The text of an answer, from either side. */
function readAnswer(socket: BareSocket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = '';
  socket.onMessage((data) => {
    try {
      const event = eventIn(data);
      if (event?.type === 'done') resolve(text);
      if (event?.type === 'chunk') text += event.text ?? '';
    } catch (error) {
      reject(error);
    }
  });
  return promise;
}
