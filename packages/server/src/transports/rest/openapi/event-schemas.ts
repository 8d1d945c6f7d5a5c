import { z } from 'zod';
import { isErrorCode, type ErrorCode } from '@chat-service/shared/errors';
import type { ChunkEvent, DoneEvent, ErrorEvent, ResyncEvent, StartEvent } from '@chat-service/shared/events';
import { finishReasonSchema, idSchema, messageSchema, usageSchema } from '@chat-service/shared/objects';

const errorCodeSchema = z.custom<ErrorCode>(isErrorCode).meta({ type: 'string' });

/** The events of a generation as schemas: each is held to its type, which is what the service sends. */
export const generationEventSchemas = {
  start: z.object({
    type: z.literal('start'),
    streamId: idSchema,
    sessionId: idSchema,
    userMessage: messageSchema.nullable(),
    title: z.string().nullable(),
    modelId: z.string(),
  }) satisfies z.ZodType<StartEvent>,
  chunk: z.object({
    type: z.literal('chunk'),
    streamId: idSchema,
    text: z.string(),
  }) satisfies z.ZodType<ChunkEvent>,
  done: z.object({
    type: z.literal('done'),
    streamId: idSchema,
    message: messageSchema,
    usage: usageSchema.nullable(),
    finishReason: finishReasonSchema,
  }) satisfies z.ZodType<DoneEvent>,
  error: z.object({
    type: z.literal('error'),
    streamId: idSchema,
    error: z.object({ code: errorCodeSchema, message: z.string(), retryable: z.boolean() }),
    message: messageSchema,
  }) satisfies z.ZodType<ErrorEvent>,
  resync: z.object({
    type: z.literal('resync'),
    streamId: idSchema,
    message: messageSchema,
  }) satisfies z.ZodType<ResyncEvent>,
};
