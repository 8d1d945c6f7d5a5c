import { z } from 'zod';
import { idempotencyKeySchema, lastEventIdSchema } from './idempotency.ts';
import { idSchema, messageSchema, parametersSchema, usageSchema } from './objects.ts';
import { pagedInput, paginationSchema } from './paging.ts';
import { messageTextSchema, modelIdSchema } from './session-api.ts';
import { isStorableText } from './text.ts';

const sendFields = {
  sessionId: idSchema,
  /** Left out: the newest user message is answered, if it is unanswered. */
  message: messageTextSchema.optional(),
  /** @default the session's model */
  modelId: modelIdSchema.optional(),
  /** Override the session's parameters key by key. */
  parameters: parametersSchema.optional(),
};

export const sendMessageInput = z.strictObject({ ...sendFields, idempotencyKey: idempotencyKeySchema.optional() });
export type SendMessageInput = z.infer<typeof sendMessageInput>;
export const sendMessageOutput = z.object({
  userMessage: messageSchema.nullable(),
  message: messageSchema,
  usage: usageSchema.nullable(),
});
export type SendMessageOutput = z.infer<typeof sendMessageOutput>;

export const startMessageInput = sendMessageInput;
export type StartMessageInput = SendMessageInput;
export const startMessageOutput = z.object({ streamId: idSchema, userMessage: messageSchema.nullable() });
export type StartMessageOutput = z.infer<typeof startMessageOutput>;

/** Starts and follows. With `lastEventId` it only follows: it never starts anything. */
export const streamMessageInput = z.strictObject({
  ...sendFields,
  idempotencyKey: idempotencyKeySchema,
  lastEventId: lastEventIdSchema,
});
export type StreamMessageInput = z.infer<typeof streamMessageInput>;

export const followMessageInput = z.strictObject({
  sessionId: idSchema,
  /** @default the running generation, or one that ended within the buffer time */
  streamId: idSchema.optional(),
  lastEventId: lastEventIdSchema,
});
export type FollowMessageInput = z.infer<typeof followMessageInput>;

export const stopMessageInput = z.strictObject({
  sessionId: idSchema,
  /** Stops that generation only; one that is over already answers with its message as it is. */
  streamId: idSchema.optional(),
});
export type StopMessageInput = z.infer<typeof stopMessageInput>;
export const stopMessageOutput = z.object({ message: messageSchema });
export type StopMessageOutput = z.infer<typeof stopMessageOutput>;

/** The client's acknowledgement of an answer: it changes neither text nor usage. */
export const finalizeMessageInput = z.strictObject({
  sessionId: idSchema,
  /** @default the latest generation */
  streamId: idSchema.optional(),
  completeResponse: z.string().refine(isStorableText, { message: 'must not contain U+0000 or lone surrogates' }),
  tokensUsed: z.int().min(0).optional(),
});
export type FinalizeMessageInput = z.infer<typeof finalizeMessageInput>;
export const finalizeMessageOutput = z.object({
  message: messageSchema,
  usage: usageSchema.nullable(),
  /** Whether the client's text equals the stored one. */
  matches: z.boolean(),
});
export type FinalizeMessageOutput = z.infer<typeof finalizeMessageOutput>;

export const listMessagesInput = pagedInput({
  sessionId: idSchema,
  /** @default "asc" */
  order: z.enum(['asc', 'desc']).optional(),
});
export type ListMessagesInput = z.infer<typeof listMessagesInput>;
export const listMessagesOutput = z.object({ messages: z.array(messageSchema), pagination: paginationSchema });
export type ListMessagesOutput = z.infer<typeof listMessagesOutput>;

export const deleteMessageInput = z.strictObject({ sessionId: idSchema, messageId: idSchema });
export type DeleteMessageInput = z.infer<typeof deleteMessageInput>;
