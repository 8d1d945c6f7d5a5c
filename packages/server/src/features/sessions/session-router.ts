import {
  createSessionInput,
  createSessionOutput,
  deleteSessionInput,
  emptyOutput,
  followSessionInput,
  getSessionInput,
  getSessionOutput,
  listSessionsInput,
  listSessionsOutput,
  updateSessionInput,
  updateSessionOutput,
} from '@chat-service/shared/session-api';
import type { SessionEvent } from '@chat-service/shared/events';
import { userProcedure } from '../../trpc/procedures.ts';
import { replayable } from '../../trpc/replayable.ts';
import { never, tracking } from '../../trpc/tracked-events.ts';
import { trpc } from '../../trpc/trpc.ts';
import type { SessionOperations } from './session-operations.ts';

export function createSessionRouter(operations: SessionOperations) {
  return trpc.router({
    create: userProcedure
      .meta({
        summary: 'Opens a session.',
        rest: {
          method: 'POST',
          path: '/api/chat/sessions',
          operationId: 'createSession',
          tag: 'Sessions',
          description: 'An `initialMessage` is stored and left unanswered: send without a message to have it answered.',
          status: 201,
          location: '/api/chat/sessions/{sessionId}',
          idempotencyKey: 'optional',
        },
      })
      .input(createSessionInput)
      .output(createSessionOutput)
      .mutation(async ({ ctx, input }) => replayable(ctx, await operations.createSession({ ...input, ...ctx.holder }))),
    get: userProcedure
      .meta({
        summary: 'A session with its newest messages.',
        rest: { method: 'GET', path: '/api/chat/sessions/{sessionId}', operationId: 'getSession', tag: 'Sessions' },
      })
      .input(getSessionInput)
      .output(getSessionOutput)
      .query(({ ctx, input }) => operations.getSession({ ...input, userId: ctx.principal.userId })),
    list: userProcedure
      .meta({
        summary: "The caller's sessions, newest activity first.",
        rest: { method: 'GET', path: '/api/chat/sessions', operationId: 'listSessions', tag: 'Sessions' },
      })
      .input(listSessionsInput.optional())
      .output(listSessionsOutput)
      .query(({ ctx, input }) => operations.listSessions({ ...input, userId: ctx.principal.userId })),
    update: userProcedure
      .meta({
        summary: 'Changes a session.',
        rest: {
          method: 'PATCH',
          path: '/api/chat/sessions/{sessionId}',
          operationId: 'updateSession',
          tag: 'Sessions',
          description:
            'Each field that is given is replaced as a whole, null clears it. A running answer keeps what it began with.',
        },
      })
      .input(updateSessionInput)
      .output(updateSessionOutput)
      .mutation(({ ctx, input }) => operations.updateSession({ ...input, userId: ctx.principal.userId })),
    follow: userProcedure
      .meta({
        summary: 'Streams what happens in a session: its history first, then every answer and change.',
        rest: {
          method: 'GET',
          path: '/api/chat/sessions/{sessionId}/events',
          operationId: 'followSession',
          tag: 'Sessions',
        },
      })
      .input(followSessionInput)
      .subscription(async ({ ctx, input, signal = never }) =>
        tracking<SessionEvent>(await operations.followSession({ ...input, userId: ctx.principal.userId }, signal)),
      ),
    delete: userProcedure
      .meta({
        summary: 'Deletes a session and everything in it.',
        rest: {
          method: 'DELETE',
          path: '/api/chat/sessions/{sessionId}',
          operationId: 'deleteSession',
          tag: 'Sessions',
          status: 204,
        },
      })
      .input(deleteSessionInput)
      .output(emptyOutput)
      .mutation(async ({ ctx, input }) => {
        await operations.deleteSession({ ...input, userId: ctx.principal.userId });
        return {};
      }),
  });
}
