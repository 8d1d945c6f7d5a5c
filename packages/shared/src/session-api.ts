import { z } from 'zod';
import { idempotencyKeySchema, lastEventIdSchema } from './idempotency.ts';
import { idSchema, messageSchema, metadataSchema, parametersSchema, sessionSchema } from './objects.ts';
import { pagedInput, paginationSchema } from './paging.ts';
import { boundedText } from './text.ts';

/** The text of a user's message, in Unicode code points. */
export const messageTextSchema = boundedText(1, 32_000);
export const modelIdSchema = boundedText(1, 200);
const titleSchema = boundedText(1, 200);
const systemPromptSchema = boundedText(0, 16_000);

export const createSessionInput = z.strictObject({
  title: titleSchema.nullish(),
  /** Stored as the first user message and left unanswered. */
  initialMessage: messageTextSchema.optional(),
  /** @default the catalogue's default model */
  modelId: modelIdSchema.optional(),
  /** Which client the session came from. @default "api" */
  source: z
    .string()
    .regex(/^[a-z0-9_-]{1,32}$/u, 'must be 1 to 32 of a-z, 0-9, _ and -')
    .optional(),
  systemPrompt: systemPromptSchema.nullish(),
  parameters: parametersSchema.optional(),
  metadata: metadataSchema.optional(),
  /** Unlisted, and removed some hours after its last activity. @default false */
  temporary: z.boolean().optional(),
  idempotencyKey: idempotencyKeySchema.optional(),
});
export type CreateSessionInput = z.infer<typeof createSessionInput>;
export const createSessionOutput = z.object({ sessionId: idSchema, session: sessionSchema });
export type CreateSessionOutput = z.infer<typeof createSessionOutput>;

export const getSessionInput = z.strictObject({
  sessionId: idSchema,
  /** How many of the newest messages come along, 1 to 500. @default 100 */
  messageLimit: z.int().min(1).max(500).optional(),
});
export type GetSessionInput = z.infer<typeof getSessionInput>;
export const getSessionOutput = z.object({
  session: sessionSchema,
  /** The newest ones, oldest first; `pagination.nextCursor` leads to older ones with `order: "desc"`. */
  messages: z.array(messageSchema),
  pagination: paginationSchema,
});
export type GetSessionOutput = z.infer<typeof getSessionOutput>;

export const listSessionsInput = pagedInput({});
export type ListSessionsInput = z.infer<typeof listSessionsInput>;
export const listSessionsOutput = z.object({ sessions: z.array(sessionSchema), pagination: paginationSchema });
export type ListSessionsOutput = z.infer<typeof listSessionsOutput>;

/** Each field given is replaced whole; null clears it. */
export const updateSessionInput = z.strictObject({
  sessionId: idSchema,
  /** Null returns to the automatic title. */
  title: titleSchema.nullable().optional(),
  /** Null returns to the catalogue's default model. */
  modelId: modelIdSchema.nullable().optional(),
  systemPrompt: systemPromptSchema.nullable().optional(),
  parameters: parametersSchema.nullable().optional(),
  metadata: metadataSchema.nullable().optional(),
});
export type UpdateSessionInput = z.infer<typeof updateSessionInput>;
export const updateSessionOutput = z.object({ session: sessionSchema });
export type UpdateSessionOutput = z.infer<typeof updateSessionOutput>;

export const deleteSessionInput = z.strictObject({ sessionId: idSchema });
export type DeleteSessionInput = z.infer<typeof deleteSessionInput>;
/** Nothing is answered but that it is done. */
export const emptyOutput = z.object({});

/** With `lastEventId` it goes on after that event; without, it begins with the history. */
export const followSessionInput = z.strictObject({ sessionId: idSchema, lastEventId: lastEventIdSchema });
export type FollowSessionInput = z.infer<typeof followSessionInput>;
