import {
  createSessionInput,
  createSessionOutput,
  deleteSessionInput,
  emptyOutput,
  getSessionInput,
  getSessionOutput,
  listSessionsInput,
  listSessionsOutput,
  updateSessionInput,
  updateSessionOutput,
} from '@chat-service/shared/session-api';
import { userProcedure } from '../../trpc/procedures.ts';
import { trpc } from '../../trpc/trpc.ts';
import type { SessionOperations } from './session-operations.ts';

export function createSessionRouter(operations: SessionOperations) {
  return trpc.router({
    create: userProcedure
      .meta({ summary: 'Opens a session.' })
      .input(createSessionInput)
      .output(createSessionOutput)
      .mutation(({ ctx, input }) => operations.createSession({ ...input, userId: ctx.principal.userId })),
    get: userProcedure
      .meta({ summary: 'A session with its newest messages.' })
      .input(getSessionInput)
      .output(getSessionOutput)
      .query(({ ctx, input }) => operations.getSession({ ...input, userId: ctx.principal.userId })),
    list: userProcedure
      .meta({ summary: "The caller's sessions, newest activity first." })
      .input(listSessionsInput.optional())
      .output(listSessionsOutput)
      .query(({ ctx, input }) => operations.listSessions({ ...input, userId: ctx.principal.userId })),
    update: userProcedure
      .meta({ summary: 'Changes a session.' })
      .input(updateSessionInput)
      .output(updateSessionOutput)
      .mutation(({ ctx, input }) => operations.updateSession({ ...input, userId: ctx.principal.userId })),
    delete: userProcedure
      .meta({ summary: 'Deletes a session and everything in it.' })
      .input(deleteSessionInput)
      .output(emptyOutput)
      .mutation(async ({ ctx, input }) => {
        await operations.deleteSession({ ...input, userId: ctx.principal.userId });
        return {};
      }),
  });
}
