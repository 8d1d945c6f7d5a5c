import { tracked } from '@trpc/server';
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
import { trpc } from '../../trpc/trpc.ts';
import type { EventStream } from './follow-message.ts';
import type { MessageOperations } from './message-operations.ts';

export function createMessageRouter(operations: MessageOperations) {
  return trpc.router({
    send: userProcedure
      .meta({ summary: 'Sends a message and waits for the whole answer.' })
      .input(sendMessageInput)
      .output(sendMessageOutput)
      .mutation(({ ctx, input, signal }) =>
        operations.sendMessage({ ...input, userId: ctx.principal.userId }, signal),
      ),
    start: userProcedure
      .meta({ summary: 'Sends a message; the answer is followed or read later.' })
      .input(startMessageInput)
      .output(startMessageOutput)
      .mutation(({ ctx, input, signal }) =>
        operations.startMessage({ ...input, userId: ctx.principal.userId }, signal),
      ),
    stream: userProcedure
      .meta({ summary: 'Sends a message and streams the answer.' })
      .input(streamMessageInput)
      .subscription(async ({ ctx, input, signal = never }) =>
        tracking(await operations.streamMessage({ ...input, userId: ctx.principal.userId }, signal)),
      ),
    follow: userProcedure
      .meta({ summary: 'Streams an answer that was started elsewhere, or goes on after an event.' })
      .input(followMessageInput)
      .subscription(async ({ ctx, input, signal = never }) => {
        const { streamId, ...request } = input;
        const { userId } = ctx.principal;
        return tracking(await operations.followMessage({ ...request, userId, generationId: streamId }, signal));
      }),
    stop: userProcedure
      .meta({ summary: 'Stops an answer; what was written stays.' })
      .input(stopMessageInput)
      .output(stopMessageOutput)
      .mutation(({ ctx, input, signal }) =>
        operations.stopMessage({ ...input, userId: ctx.principal.userId }, signal),
      ),
    finalize: userProcedure
      .meta({ summary: 'Acknowledges an answer and tells whether the text received is the stored one.' })
      .input(finalizeMessageInput)
      .output(finalizeMessageOutput)
      .mutation(({ ctx, input }) => operations.finalizeMessage({ ...input, userId: ctx.principal.userId })),
    list: userProcedure
      .meta({ summary: 'The messages of a session.' })
      .input(listMessagesInput)
      .output(listMessagesOutput)
      .query(({ ctx, input }) => operations.listMessages({ ...input, userId: ctx.principal.userId })),
    delete: userProcedure
      .meta({ summary: 'Deletes one message.' })
      .input(deleteMessageInput)
      .output(emptyOutput)
      .mutation(async ({ ctx, input }) => {
        await operations.deleteMessage({ ...input, userId: ctx.principal.userId });
        return {};
      }),
  });
}

/** For callers that cannot go away. */
const never = new AbortController().signal;

/** Every event carries its id: one without would make a client that reconnects start over. */
async function* tracking(events: EventStream | null) {
  if (events === null) return;
  for await (const { id, event } of events) yield tracked<GenerationEvent>(id, event);
}
