import { randomUUID } from 'node:crypto';
import { initTRPC, tracked, TRPCError } from '@trpc/server';
import { errorTable, isErrorCode, type WireError } from '@chat-service/shared/errors';
import {
  followMessageInput,
  sendMessageInput,
  stopMessageInput,
  streamMessageInput,
} from '@chat-service/shared/message-api';
import {
  createSessionInput,
  deleteSessionInput,
  listSessionsInput,
  updateSessionInput,
} from '@chat-service/shared/session-api';
import superjson from 'superjson';
import {
  auditLogInput,
  observeInput,
  searchUsersInput,
  stopObservedInput,
  userSessionInput,
  userSessionsInput,
} from '@chat-service/shared/supervisor-api';
import { toyMessage, type ToyGenerations } from './toy-generations.ts';
import { toyEntry, toySession, toyUser, type ToyObservation } from './toy-observation.ts';
import type { ToyRefusal, ToyServer } from './toy-server.ts';

export interface ToyContext {
  door: 'http' | 'ws';
  token: string;
}

interface Toy extends Pick<ToyServer, 'calls' | 'refusals'> {
  generations: ToyGenerations;
  observation: ToyObservation;
  isTaken(token: string): boolean;
}

class Refusal extends Error {
  readonly data: ToyRefusal;
  constructor(data: ToyRefusal) {
    super(data.code);
    this.data = data;
  }
}

export const listedSessions = 7;

export function createToyRouter({ generations, observation, calls, refusals, isTaken }: Toy) {
  const t = initTRPC.context<ToyContext>().create({
    transformer: superjson,
    isDev: false,
    errorFormatter({ error, shape }): WireError {
      const data = error.cause instanceof Refusal ? error.cause.data : { code: error.code, status: 400 };
      const { code, status, ...ids } = data;
      // A code that this version does not know must reach the client as it is.
      return {
        ...shape,
        message: `toy ${code}`,
        data: { code: code as 'INTERNAL', httpStatus: status, requestId: 'r-1', ...ids },
      };
    },
  });
  const sessions = new Map<string, string>();
  const procedure = t.procedure.use(async ({ ctx, path, getRawInput, next }) => {
    calls.push({ call: `${ctx.door} ${path}`, token: ctx.token, input: await getRawInput() });
    const refusal = refusals.get(path)?.shift();
    const data = isTaken(ctx.token) ? refusal : { code: 'UNAUTHORIZED', status: 401 };
    if (data === undefined) return next();
    const known = isErrorCode(data.code) ? errorTable[data.code].trpc : 'CONFLICT';
    throw new TRPCError({ code: known, cause: new Refusal(data) });
  });
  const notFound = () => new TRPCError({ code: 'NOT_FOUND', cause: new Refusal({ code: 'NOT_FOUND', status: 404 }) });

  return t.router({
    session: t.router({
      create: procedure.input(createSessionInput).mutation(({ input }) => {
        const key = input.idempotencyKey ?? randomUUID();
        const id = sessions.get(key) ?? randomUUID();
        sessions.set(key, id);
        return { sessionId: id, session: toySession(id) };
      }),
      update: procedure.input(updateSessionInput).mutation(({ input }) => ({ session: toySession(input.sessionId) })),
      list: procedure.input(listSessionsInput).query(({ input }) => {
        const { items, pagination } = paged(input, toySession);
        return { sessions: items, pagination };
      }),
      delete: procedure.input(deleteSessionInput).mutation(({ input }) => {
        for (const [key, id] of sessions) {
          if (id !== input.sessionId) continue;
          sessions.delete(key);
          return {};
        }
        throw notFound();
      }),
    }),
    message: t.router({
      send: procedure.input(sendMessageInput).mutation(({ input }) => {
        const generation = generations.start(input.idempotencyKey ?? randomUUID(), input.message);
        const message = toyMessage(generation.streamId, 'answer', 'complete');
        return { userMessage: null, message, usage: null };
      }),
      stream: procedure.input(streamMessageInput).subscription(async function* ({ input, signal }) {
        // With an id it only follows; the toy finds the generation by the key all the same.
        const generation = generations.start(input.idempotencyKey, input.message);
        for await (const { id, event } of generation.read(input.lastEventId ?? null, signal)) yield tracked(id, event);
      }),
      follow: procedure.input(followMessageInput).subscription(async function* ({ input, signal }) {
        const generation = generations.find(input.streamId);
        if (generation === undefined) {
          if (input.streamId !== undefined) throw notFound();
          return;
        }
        const after = generations.forgetful ? null : (input.lastEventId ?? null);
        for await (const { id, event } of generation.read(after, signal)) yield tracked(id, event);
      }),
      stop: procedure.input(stopMessageInput).mutation(({ input }) => {
        const generation = generations.find(input.streamId);
        if (generation === undefined) throw notFound();
        return { message: generation.stop() };
      }),
    }),
    supervisor: t.router({
      observe: procedure.input(observeInput).subscription(async function* ({ input, signal }) {
        for await (const { id, event } of observation.observe(input.lastEventId ?? null, signal))
          yield tracked(id, event);
      }),
      stop: procedure
        .input(stopObservedInput)
        .mutation(() => ({ message: toyMessage(randomUUID(), 'half', 'stopped') })),
      live: procedure.query(() => ({ sessions: [] })),
      userSessions: procedure.input(userSessionsInput).query(({ input }) => {
        const { items: listed, pagination } = paged(input, toySession);
        return { user: toyUser, sessions: listed, pagination };
      }),
      userSession: procedure.input(userSessionInput).query(({ input }) => ({
        user: toyUser,
        session: toySession(input.sessionId),
        messages: [],
        pagination: paged({}, String).pagination,
      })),
      searchUsers: procedure.input(searchUsersInput).query(({ input }) => {
        const { items: users, pagination } = paged(input, (id) => ({ ...toyUser, id }));
        return { users, pagination };
      }),
      auditLog: procedure.input(auditLogInput).query(({ input }) => {
        const { items: entries, pagination } = paged(input, (id) => ({ ...toyEntry, id }));
        return { entries, pagination };
      }),
    }),
    account: t.router({
      usage: procedure.query(() => ({
        credits: 12.5,
        held: 0,
        plan: 'free',
        quotas: [{ name: 'messages', period: 'day' as const, used: 3, limit: 5, resetsAt: '2026-01-02T00:00:00.000Z' }],
        rateLimit: { limit: 100, remaining: 99, resetsAt: '2026-01-01T00:01:00.000Z' },
      })),
    }),
    system: t.router({ version: procedure.query(() => ({ version: '0', commit: null, apiVersion: 1 as const })) }),
  });
}

/** A page of as many items as there are listed sessions. */
function paged<Item>(
  { cursor, limit = 2 }: { cursor?: string | undefined; limit?: number | undefined },
  toItem: (id: string) => Item,
) {
  const from = cursor === undefined ? 0 : Number(cursor);
  const ids = Array.from({ length: listedSessions }, (_, index) => `s${index}`).slice(from, from + limit);
  const nextCursor = from + limit < listedSessions ? String(from + limit) : null;
  const hasMore = nextCursor !== null;
  return {
    items: ids.map(toItem),
    pagination: { page: 1, limit, total: listedSessions, totalPages: 4, hasMore, nextCursor },
  };
}
