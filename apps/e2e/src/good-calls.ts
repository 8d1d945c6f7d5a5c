import type { World } from './world.ts';

/** What makes a request of an operation a good one. */
export interface GoodCall {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly status: number;
  /** What has to be under way. */
  readonly beginning?: () => Promise<unknown>;
  /** What ends the answer, where it does not end by itself. */
  readonly ending?: () => Promise<unknown>;
}

/** A session of Alice's with one question and its answer. */
export interface Conversation {
  readonly sessionId: string;
  readonly userMessageId: string;
  readonly streamId: string;
}

/** By the id of the operation. */
export type GoodCalls = Readonly<Record<string, (at: Conversation) => readonly GoodCall[]>>;

export function createGoodCalls(world: World): { conversation: () => Promise<Conversation>; goodCalls: GoodCalls } {
  async function conversation(): Promise<Conversation> {
    const { trpc } = world.trpc();
    const { session } = await trpc.session.create.mutate({ title: 'Asked' });
    const sent = await trpc.message.send.mutate({ sessionId: session.id, message: 'Say hello.' });
    return { sessionId: session.id, userMessageId: sent.userMessage?.id ?? '', streamId: sent.message.id };
  }

  /** An answer that goes on until it is stopped. */
  async function startHeld(sessionId: string): Promise<void> {
    world.openai.script('Hold on', { chunks: ['a', 'b'], hold: [1] });
    await world.trpc().trpc.message.start.mutate({ sessionId, message: 'Hold on' });
  }

  /** Every operation of the document, called as a client would. */
  const goodCalls: GoodCalls = {
    createSession: () => [
      { body: {}, status: 201 },
      {
        body: { title: null, source: 'cli', parameters: { topP: 0.5 }, metadata: { a: '' }, temporary: true },
        headers: { 'idempotency-key': 'made once' },
        status: 201,
      },
    ],
    listSessions: () => [{ status: 200 }, { query: { page: '9', limit: '1' }, status: 200 }],
    getSession: ({ sessionId }) => [{ path: { sessionId }, query: { messageLimit: '1' }, status: 200 }],
    followSession: ({ sessionId }) => [
      {
        path: { sessionId },
        status: 200,
        ending: () => world.trpc().trpc.session.delete.mutate({ sessionId }),
      },
    ],
    updateSession: ({ sessionId }) => [{ path: { sessionId }, body: { title: 'New', metadata: null }, status: 200 }],
    deleteSession: ({ sessionId }) => [{ path: { sessionId }, status: 204 }],
    sendMessage: ({ sessionId }) => [{ path: { sessionId }, body: { message: 'Again.' }, status: 200 }],
    listMessages: ({ sessionId }) => [{ path: { sessionId }, query: { order: 'desc', limit: '1' }, status: 200 }],
    streamMessage: ({ sessionId, streamId }) => [
      { path: { sessionId }, body: { message: 'Stream.' }, status: 200 },
      { path: { sessionId }, body: { message: 'Start.' }, headers: { accept: 'application/json' }, status: 202 },
      { path: { sessionId }, query: { streamId }, headers: { 'last-event-id': 'unreadable' }, status: 200 },
    ],
    followMessage: ({ sessionId, streamId }) => [{ path: { sessionId }, query: { streamId }, status: 200 }],
    stopMessage: ({ sessionId, streamId }) => [{ path: { sessionId }, body: { streamId }, status: 200 }],
    finalizeMessage: ({ sessionId }) => [
      { path: { sessionId }, body: { completeResponse: 'Hello from the fake.', tokensUsed: 4 }, status: 200 },
    ],
    deleteMessage: ({ sessionId, userMessageId }) => [{ path: { sessionId, messageId: userMessageId }, status: 204 }],
    listModels: () => [{ status: 200 }],
    recommendModel: ({ sessionId }) => [
      { body: {}, status: 200 },
      {
        body: { task: 'general', priority: 'cost', requirements: { capabilities: ['general'] }, sessionId },
        status: 200,
      },
    ],
    observeSession: ({ sessionId }) => [
      {
        path: { sessionId },
        status: 200,
        ending: () => world.trpc().trpc.session.delete.mutate({ sessionId }),
      },
    ],
    listLiveSessions: () => [{ query: { reason: 'Looking around' }, status: 200 }],
    stopObservedSession: ({ sessionId }) => [
      { path: { sessionId }, body: { reason: 'Enough' }, status: 200, beginning: () => startHeld(sessionId) },
    ],
    listUserSessions: () => [{ path: { userId: 'alice' }, query: { limit: '1' }, status: 200 }],
    getUserSession: ({ sessionId }) => [
      { path: { userId: 'alice', sessionId }, query: { messageLimit: '1' }, status: 200 },
    ],
    searchUsers: () => [{ query: { query: 'ali' }, status: 200 }],
    readAuditLog: () => [{ query: { limit: '5', subjectId: 'alice', from: '2026-01-01T00:00:00Z' }, status: 200 }],
    getUsage: () => [{ status: 200 }],
    getVersion: () => [{ status: 200 }],
    getHealth: () => [{ status: 200 }],
    getLiveness: () => [{ status: 200 }],
    getReadiness: () => [{ status: 200 }],
    getOpenApiDocument: () => [{ status: 200 }],
    getDocumentation: () => [{ status: 200 }],
  };

  return { conversation, goodCalls };
}
