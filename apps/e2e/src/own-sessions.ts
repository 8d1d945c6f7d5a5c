import type { CreateSessionInput } from '@chat-service/shared/session-api';
import { collect } from './collect.ts';
import type { World } from './world.ts';

/** Sessions over tRPC, each of a user who has no other. `world` is looked up at each call: specs start theirs later. */
export function createOwnSessions(world: () => World) {
  let users = 0;

  function newUser() {
    users += 1;
    const user = `user-${users}`;
    return { user, ...world().trpc(user) };
  }

  async function newSession(input: CreateSessionInput = {}) {
    const { user, trpc } = newUser();
    const { sessionId, session } = await trpc.session.create.mutate(input);
    const get = async () => (await trpc.session.get.query({ sessionId })).session;
    const send = (message: string) => trpc.message.send.mutate({ sessionId, message });
    return { user, trpc, sessionId, session, get, send };
  }

  /** Starts the answer `half whole`, which waits after its first piece. */
  async function startHeld({ trpc, sessionId }: Pick<Awaited<ReturnType<typeof newSession>>, 'trpc' | 'sessionId'>) {
    const { openai } = world();
    const { length } = openai.calls;
    openai.script('Wait', { chunks: ['half', ' whole'], hold: [1], times: 1 });
    const { streamId } = await trpc.message.start.mutate({ sessionId, message: 'Wait' });
    const watched = collect((subscriber) => trpc.message.follow.subscribe({ sessionId, streamId }, subscriber));
    const call = await openai.call(length);
    await watched.until(2);
    return { streamId, call, watched };
  }

  return { newUser, newSession, startHeld };
}
