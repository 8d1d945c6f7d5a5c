import { z } from 'zod';
import { isErrorCode, type ErrorCode } from '@chat-service/shared/errors';
import type {
  ChunkEvent,
  DoneEvent,
  ErrorEvent,
  GenerationEvent,
  HistoryEndEvent,
  HistoryStartEvent,
  MessageDeletedEvent,
  MessageEvent,
  ObservationEvent,
  ObservedEvent,
  ObserverEvent,
  ResyncEvent,
  SessionDeletedEvent,
  SessionEvent,
  SessionUpdatedEvent,
  StartEvent,
} from '@chat-service/shared/events';
import { finishReasonSchema, idSchema, messageSchema, sessionSchema, usageSchema } from '@chat-service/shared/objects';
import { userSchema } from '@chat-service/shared/supervisor-api';

const errorCodeSchema = z.custom<ErrorCode>(isErrorCode).meta({ type: 'string' });

/** The events of a generation as schemas: each is held to its type, which is what the service sends. */
const generationEventSchemas = {
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
} satisfies Record<GenerationEvent['type'], z.ZodObject>;

const sessionEventSchemas = {
  ...generationEventSchemas,
  'history-start': z.object({
    type: z.literal('history-start'),
    count: z.int(),
    total: z.int(),
  }) satisfies z.ZodType<HistoryStartEvent>,
  message: z.object({ type: z.literal('message'), message: messageSchema }) satisfies z.ZodType<MessageEvent>,
  'history-end': z.object({ type: z.literal('history-end') }) satisfies z.ZodType<HistoryEndEvent>,
  'message-deleted': z.object({
    type: z.literal('message-deleted'),
    messageId: idSchema,
  }) satisfies z.ZodType<MessageDeletedEvent>,
  'session-updated': z.object({
    type: z.literal('session-updated'),
    session: sessionSchema,
  }) satisfies z.ZodType<SessionUpdatedEvent>,
  'session-deleted': z.object({
    type: z.literal('session-deleted'),
    sessionId: idSchema,
  }) satisfies z.ZodType<SessionDeletedEvent>,
} satisfies Record<SessionEvent['type'], z.ZodObject>;

/** Beside the events of the user's own streams, where the operator has it shown; observers are told with `observer`. */
const noticeSchemas = {
  observed: z.object({ type: z.literal('observed'), observers: z.int() }) satisfies z.ZodType<ObservedEvent>,
} satisfies Record<ObservedEvent['type'], z.ZodObject>;

/** Written as one object, since unions are told apart by `type` alone: each of its statuses has some of the members. */
const observerSchema = z.object({
  type: z.literal('observer'),
  status: z.enum(['connected', 'live', 'idle', 'ended'] satisfies ObserverEvent['status'][]),
  session: sessionSchema.optional(),
  user: userSchema.optional(),
  observers: z.int().optional(),
  reason: z.enum(['token', 'role', 'unavailable']).optional(),
});

const observationEventSchemas = {
  ...sessionEventSchemas,
  observer: observerSchema,
} satisfies Record<ObservationEvent['type'], z.ZodObject>;

/** The unions of events, by their name in the components. */
export const eventUnions = {
  GenerationEvent: { ...generationEventSchemas, ...noticeSchemas },
  SessionEvent: { ...sessionEventSchemas, ...noticeSchemas },
  ObservationEvent: observationEventSchemas,
} as const;

/** Which events a subscription sends. */
export const eventsOf: Readonly<Partial<Record<string, keyof typeof eventUnions>>> = {
  'message.stream': 'GenerationEvent',
  'message.follow': 'GenerationEvent',
  'session.follow': 'SessionEvent',
  'supervisor.observe': 'ObservationEvent',
};
