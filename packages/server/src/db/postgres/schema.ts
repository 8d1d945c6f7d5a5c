import type { ErrorCode } from '@chat-service/shared/errors';
import type {
  FinishReason,
  Message,
  MessageStatus,
  Metadata,
  Parameters,
  Role,
  Usage,
} from '@chat-service/shared/objects';
import {
  bigint,
  boolean as flag,
  index,
  integer,
  jsonb as json,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import type {
  GenerationPrices,
  GenerationRefusal,
  GenerationRequest,
  GenerationStatus,
  IdempotentOperation,
  StopRequester,
} from '../column-types.ts';
import { isListedSession, isLiveGeneration, isTombstone } from '../conditions.ts';

// Column keys, names and types equal those of ../sqlite/schema.ts; a test holds them so.

/** Milliseconds, as JavaScript's `Date` has them: with more, a cursor made of a time would lose its row. */
const time = (name: string) => timestamp(name, { precision: 3, withTimezone: true, mode: 'date' });

export const users = pgTable('users', {
  /** The token's `sub`. */
  id: text('id').primaryKey(),
  username: text('username'),
  email: text('email'),
  role: text('role').$type<Role>().notNull(),
  plan: text('plan').notNull(),
  /** `iat` of the claims stored, in seconds: older claims never overwrite newer ones. */
  claimsIssuedAt: bigint('claims_issued_at', { mode: 'number' }),
  /** Number of listed sessions. */
  sessionCount: integer('session_count').notNull().default(0),
  lastSeenAt: time('last_seen_at').notNull(),
  createdAt: time('created_at').notNull(),
});

export const sessions = pgTable(
  'sessions',
  {
    id: text('id').primaryKey(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id),
    title: text('title'),
    titleIsAutomatic: flag('title_is_automatic').notNull(),
    /** Null: the catalogue's default model, whichever it is when it is needed. */
    modelId: text('model_id'),
    source: text('source').notNull(),
    systemPrompt: text('system_prompt'),
    parameters: json('parameters').$type<Parameters>().notNull(),
    metadata: json('metadata').$type<Metadata>().notNull(),
    temporary: flag('temporary').notNull(),
    messageCount: integer('message_count').notNull().default(0),
    lastMessageAt: time('last_message_at'),
    /** `lastMessageAt`, or `createdAt` while there is no message: the order of the list. */
    sortAt: time('sort_at').notNull(),
    activeGenerationId: text('active_generation_id'),
    /** Sequence of the next message. */
    nextSequence: integer('next_sequence').notNull().default(1),
    /** Rises with each claim, take-over and deletion; a write that carries an older one is refused. */
    fence: integer('fence').notNull().default(0),
    /** Position of the last entry of the session's log that is durable. */
    logFence: integer('log_fence').notNull().default(0),
    logNumber: integer('log_number').notNull().default(0),
    /** Set: the session is gone for every caller, its rows are being removed. */
    deletedAt: time('deleted_at'),
    createdAt: time('created_at').notNull(),
    updatedAt: time('updated_at').notNull(),
  },
  (table) => [
    index('sessions_listed').on(table.userId, table.sortAt, table.id).where(isListedSession(table)),
    index('sessions_tombstones').on(table.deletedAt).where(isTombstone(table)),
  ],
);

export const messages = pgTable(
  'messages',
  {
    id: text('id').primaryKey(),
    sessionId: text('session_id')
      .notNull()
      .references(() => sessions.id, { onDelete: 'cascade' }),
    /** Order within the session; gaps remain where messages were deleted. */
    sequence: integer('sequence').notNull(),
    role: text('role').$type<Message['role']>().notNull(),
    content: text('content').notNull(),
    status: text('status').$type<MessageStatus>().notNull(),
    modelId: text('model_id'),
    fallbackFrom: text('fallback_from'),
    stoppedBy: text('stopped_by').$type<NonNullable<Message['stoppedBy']>>(),
    usage: json('usage').$type<Usage>(),
    finishReason: text('finish_reason').$type<FinishReason>(),
    errorCode: text('error_code').$type<ErrorCode>(),
    createdAt: time('created_at').notNull(),
    updatedAt: time('updated_at').notNull(),
  },
  (table) => [uniqueIndex('messages_session_sequence').on(table.sessionId, table.sequence)],
);

export const generations = pgTable(
  'generations',
  {
    /** Also the id of the assistant message, and the contract's `streamId`. */
    id: text('id').primaryKey(),
    sessionId: text('session_id')
      .notNull()
      .references(() => sessions.id, { onDelete: 'cascade' }),
    userId: text('user_id').notNull(),
    /** Null until it is admitted. */
    userMessageId: text('user_message_id'),
    status: text('status').$type<GenerationStatus>().notNull(),
    /** The session's fence when it was claimed. */
    claimFence: integer('claim_fence').notNull(),
    /** The fence of whoever may write to it now. */
    fence: integer('fence').notNull(),
    /** Id of the instance that runs it. */
    owner: text('owner').notNull(),
    leaseExpiresAt: time('lease_expires_at').notNull(),
    stopRequestedBy: text('stop_requested_by').$type<StopRequester>(),
    /** The model asked for. */
    modelId: text('model_id').notNull(),
    request: json('request').$type<GenerationRequest>(),
    prices: json('prices').$type<GenerationPrices>(),
    promptTokens: integer('prompt_tokens'),
    /** The position that the stored text stands for. */
    textFence: integer('text_fence').notNull().default(0),
    textNumber: integer('text_number').notNull().default(0),
    /** The position of the terminal event. */
    endFence: integer('end_fence'),
    endNumber: integer('end_number'),
    refusal: json('refusal').$type<GenerationRefusal>(),
    createdAt: time('created_at').notNull(),
    admittedAt: time('admitted_at'),
    endedAt: time('ended_at'),
  },
  (table) => [
    // At most one live generation a session, whatever the code above it does.
    uniqueIndex('generations_live_session').on(table.sessionId).where(isLiveGeneration(table)),
    index('generations_live_user').on(table.userId).where(isLiveGeneration(table)),
    index('generations_live_lease').on(table.leaseExpiresAt).where(isLiveGeneration(table)),
    index('generations_session').on(table.sessionId, table.createdAt),
    uniqueIndex('generations_claim').on(table.sessionId, table.claimFence),
  ],
);

/** The text of a running generation, appended piece by piece and folded into its message at the end. */
export const generationSegments = pgTable(
  'generation_segments',
  {
    generationId: text('generation_id')
      .notNull()
      .references(() => generations.id, { onDelete: 'cascade' }),
    sequence: integer('sequence').notNull(),
    /** Position of the last event that the segment contains. */
    fence: integer('fence').notNull(),
    number: integer('number').notNull(),
    text: text('text').notNull(),
  },
  (table) => [primaryKey({ columns: [table.generationId, table.sequence] })],
);

/** No foreign keys: a key outlives what it stood for, so that a late repeat is recognised. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    userId: text('user_id').notNull(),
    key: text('key').notNull(),
    operation: text('operation').$type<IdempotentOperation>().notNull(),
    requestHash: text('request_hash').notNull(),
    sessionId: text('session_id').notNull(),
    generationId: text('generation_id'),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.userId, table.key] }),
    index('idempotency_keys_created').on(table.createdAt),
    index('idempotency_keys_session').on(table.sessionId),
    index('idempotency_keys_generation').on(table.generationId),
  ],
);

/** Secrets that were generated once for this database, by name. */
export const serviceKeys = pgTable('service_keys', {
  name: text('name').primaryKey(),
  value: text('value').notNull(),
  createdAt: time('created_at').notNull(),
});
