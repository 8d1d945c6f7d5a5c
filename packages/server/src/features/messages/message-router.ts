import type { GenerationEvent } from '@chat-service/shared/events';
import {
  deleteMessageInput,
  finalizeMessageInput,
  finalizeMessageOutput,
  followMessageInput,
  listMessagesInput,
  listMessagesOutput,
  sendMessageInput,
  sendMessageOutput,
  startMessageInput,
  startMessageOutput,
  stopMessageInput,
  stopMessageOutput,
  streamMessageInput,
} from '@chat-service/shared/message-api';
import { emptyOutput } from '@chat-service/shared/session-api';
import { userProcedure } from '../../trpc/procedures.ts';
import { replayable } from '../../trpc/replayable.ts';
import { never, tracking } from '../../trpc/tracked-events.ts';
import { trpc } from '../../trpc/trpc.ts';
import type { MessageOperations } from './message-operations.ts';

export function createMessageRouter(operations: MessageOperations) {
  return trpc.router({
    send: userProcedure
      .meta({
        summary: 'Sends a message and waits for the whole answer.',
        rest: {
          method: 'POST',
          path: '/api/chat/sessions/{sessionId}/messages',
          operationId: 'sendMessage',
          tag: 'Messages',
          description: 'Without `message` the newest user message is answered, if it is unanswered.',
          idempotencyKey: 'optional',
        },
      })
      .input(sendMessageInput)
      .output(sendMessageOutput)
      .mutation(async ({ ctx, input, signal }) =>
        replayable(ctx, await operations.sendMessage({ ...input, ...ctx.holder }, signal)),
      ),
    start: userProcedure
      .meta({
        summary: 'Sends a message; the answer is followed or read later.',
        rest: {
          method: 'POST',
          path: '/api/chat/sessions/{sessionId}/stream',
          operationId: 'startMessage',
          tag: 'Messages',
          status: 202,
          idempotencyKey: 'optional',
          when: 'json',
        },
      })
      .input(startMessageInput)
      .output(startMessageOutput)
      .mutation(async ({ ctx, input, signal }) =>
        replayable(ctx, await operations.startMessage({ ...input, ...ctx.holder }, signal)),
      ),
    stream: userProcedure
      .meta({
        summary: 'Sends a message and streams the answer.',
        rest: {
          method: 'POST',
          path: '/api/chat/sessions/{sessionId}/stream',
          operationId: 'streamMessage',
          tag: 'Messages',
          idempotencyKey: 'required',
        },
      })
      .input(streamMessageInput)
      .subscription(async ({ ctx, input, signal = never }) => {
        const streamed = await operations.streamMessage({ ...input, ...ctx.holder }, signal);
        return tracking<GenerationEvent>(replayable(ctx, streamed));
      }),
    follow: userProcedure
      .meta({
        summary: 'Streams an answer that was started elsewhere, or goes on after an event.',
        rest: [
          {
            method: 'GET',
            path: '/api/chat/sessions/{sessionId}/stream',
            operationId: 'followMessage',
            tag: 'Messages',
          },
          {
            method: 'POST',
            path: '/api/chat/sessions/{sessionId}/stream',
            operationId: 'resumeMessage',
            tag: 'Messages',
            when: 'resuming',
          },
        ],
      })
      .input(followMessageInput)
      .subscription(async ({ ctx, input, signal = never }) => {
        const { streamId, ...request } = input;
        const { userId } = ctx.principal;
        return tracking<GenerationEvent>(
          await operations.followMessage({ ...request, userId, generationId: streamId }, signal),
        );
      }),
    stop: userProcedure
      .meta({
        summary: 'Stops an answer; what was written stays.',
        rest: {
          method: 'POST',
          path: '/api/chat/sessions/{sessionId}/stop',
          operationId: 'stopMessage',
          tag: 'Messages',
        },
      })
      .input(stopMessageInput)
      .output(stopMessageOutput)
      .mutation(({ ctx, input, signal }) => operations.stopMessage({ ...input, userId: ctx.principal.userId }, signal)),
    finalize: userProcedure
      .meta({
        summary: 'Acknowledges an answer and tells whether the text received is the stored one.',
        rest: {
          method: 'POST',
          path: '/api/chat/sessions/{sessionId}/update-stream',
          operationId: 'finalizeMessage',
          tag: 'Messages',
          description: 'It changes nothing: what is stored and charged is what the service itself has counted.',
        },
      })
      .input(finalizeMessageInput)
      .output(finalizeMessageOutput)
      .mutation(({ ctx, input }) => operations.finalizeMessage({ ...input, userId: ctx.principal.userId })),
    list: userProcedure
      .meta({
        summary: 'The messages of a session.',
        rest: {
          method: 'GET',
          path: '/api/chat/sessions/{sessionId}/messages',
          operationId: 'listMessages',
          tag: 'Messages',
        },
      })
      .input(listMessagesInput)
      .output(listMessagesOutput)
      .query(({ ctx, input }) => operations.listMessages({ ...input, userId: ctx.principal.userId })),
    delete: userProcedure
      .meta({
        summary: 'Deletes one message.',
        rest: {
          method: 'DELETE',
          path: '/api/chat/sessions/{sessionId}/messages/{messageId}',
          operationId: 'deleteMessage',
          tag: 'Messages',
          status: 204,
        },
      })
      .input(deleteMessageInput)
      .output(emptyOutput)
      .mutation(async ({ ctx, input }) => {
        await operations.deleteMessage({ ...input, userId: ctx.principal.userId });
        return {};
      }),
  });
}
