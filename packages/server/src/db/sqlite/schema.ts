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
import { sql } from 'drizzle-orm';
import { check, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';
import type {
  AuditAction,
  GenerationPrices,
  GenerationRefusal,
  GenerationRequest,
  GenerationStatus,
  IdempotentOperation,
  LedgerEntryKind,
  OutboxBody,
  OutboxState,
  StopRequester,
  UsageOutcome,
  UsageState,
} from '../column-types.ts';
import { isDueDelivery, isHeldUsage, isListedSession, isLiveGeneration, isTombstone } from '../conditions.ts';

// Column keys, names and types equal those of ../postgres/schema.ts; a test holds them so.

const time = (name: string) => integer(name, { mode: 'timestamp_ms' });
const flag = (name: string) => integer(name, { mode: 'boolean' });
const json = (name: string) => text(name, { mode: 'json' });
/** Millionths of a credit. */
const micro = (name: string) => integer(name);

export const users = sqliteTable('users', {
  /** The token's `sub`. */
  id: text('id').primaryKey(),
  username: text('username'),
  email: text('email'),
  role: text('role').$type<Role>().notNull(),
  plan: text('plan').notNull(),
  /** `iat` of the claims stored, in seconds: older claims never overwrite newer ones. */
  claimsIssuedAt: integer('claims_issued_at'),
  /** Number of listed sessions. */
  sessionCount: integer('session_count').notNull().default(0),
  /** Username, email and id as the search compares them; its index stands in the migration. */
  searchText: text('search_text').notNull().default(''),
  lastSeenAt: time('last_seen_at').notNull(),
  createdAt: time('created_at').notNull(),
});

export const sessions = sqliteTable(
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

export const messages = sqliteTable(
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

export const generations = sqliteTable(
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
    /** The model that answers in its place; null while none does. */
    servedBy: text('served_by'),
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
export const generationSegments = sqliteTable(
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
export const idempotencyKeys = sqliteTable(
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
export const serviceKeys = sqliteTable('service_keys', {
  name: text('name').primaryKey(),
  value: text('value').notNull(),
  createdAt: time('created_at').notNull(),
});

/** Balances of the embedded ledger. What a user can spend is `granted - held - spent`; nothing refers to `users`: it outlives them. */
export const creditAccounts = sqliteTable(
  'credit_accounts',
  {
    userId: text('user_id').primaryKey(),
    granted: micro('granted').notNull().default(0),
    /** Reserved for generations that run. */
    held: micro('held').notNull().default(0),
    spent: micro('spent').notNull().default(0),
    /** What generations cost beyond their holds: never charged. */
    absorbed: micro('absorbed').notNull().default(0),
    createdAt: time('created_at').notNull(),
  },
  ({ granted, held, spent, absorbed }) => [
    // Whatever the code above it does: nobody spends what they do not have.
    check('credit_accounts_balance', sql`${granted} - ${held} - ${spent} >= 0`),
    check('credit_accounts_amounts', sql`${held} >= 0 and ${spent} >= 0 and ${absorbed} >= 0`),
  ],
);

/** What moved an account of the embedded ledger for good; holds are in `usage_records`. */
export const ledgerEntries = sqliteTable(
  'ledger_entries',
  {
    userId: text('user_id').notNull(),
    /** What it was for, once and for all: `plan:free`, `plan:pro:2026-11`, `top-up:<id>`, `charge:<usageId>`. */
    key: text('key').notNull(),
    kind: text('kind').$type<LedgerEntryKind>().notNull(),
    /** Negative for a charge. */
    amount: micro('amount').notNull(),
    createdAt: time('created_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.userId, table.key] })],
);

/** One row for every generation that credit was asked for: what was reserved for it and what came of that. No foreign keys: it outlives its session. */
export const usageRecords = sqliteTable(
  'usage_records',
  {
    /** The generation's id. */
    usageId: text('usage_id').primaryKey(),
    userId: text('user_id').notNull(),
    sessionId: text('session_id').notNull(),
    modelId: text('model_id').notNull(),
    plan: text('plan').notNull(),
    state: text('state').$type<UsageState>().notNull(),
    /** Null: nothing is held, and the charge has no bound (no credits are counted, or the check found nobody to ask). */
    held: micro('held'),
    /** The Accounting Service's name for the hold. */
    holdId: text('hold_id'),
    /** Null until it is settled; 0 where it is released. */
    charged: micro('charged'),
    absorbed: micro('absorbed').notNull().default(0),
    inputTokens: integer('input_tokens'),
    outputTokens: integer('output_tokens'),
    outcome: text('outcome').$type<UsageOutcome>(),
    /** What it counts in the quota `tokens`: the worst case until it is settled. */
    quotaTokens: integer('quota_tokens').notNull().default(0),
    /** The periods that its quotas are counted in, UTC: `2026-11-22` and `2026-11`; null where none are counted here. */
    day: text('day'),
    month: text('month'),
    createdAt: time('created_at').notNull(),
    settledAt: time('settled_at'),
  },
  (table) => [
    index('usage_records_held').on(table.userId).where(isHeldUsage(table)),
    index('usage_records_user').on(table.userId, table.createdAt),
  ],
);

/** What a user has used of the quotas of a period. */
export const quotaUsage = sqliteTable(
  'quota_usage',
  {
    userId: text('user_id').notNull(),
    /** `2026-11-22` or `2026-11`, UTC. */
    period: text('period').notNull(),
    sessions: integer('sessions').notNull().default(0),
    messages: integer('messages').notNull().default(0),
    tokens: micro('tokens').notNull().default(0),
    computeMilliseconds: micro('compute_milliseconds').notNull().default(0),
  },
  (table) => [primaryKey({ columns: [table.userId, table.period] })],
);

/** What the Accounting Service has yet to be told. */
export const accountingOutbox = sqliteTable(
  'accounting_outbox',
  {
    id: text('id').primaryKey(),
    usageId: text('usage_id').notNull(),
    /** `record` or `release`, with what is sent. */
    body: json('body').$type<OutboxBody>().notNull(),
    state: text('state').$type<OutboxState>().notNull(),
    attempts: integer('attempts').notNull().default(0),
    /** Attempts that were answered with a refusal: after 10 it is parked. */
    refusals: integer('refusals').notNull().default(0),
    /** Not tried before: after a failure, or while an instance has it in hand. */
    nextAttemptAt: time('next_attempt_at').notNull(),
    /** The delivery that has it in hand, by the database's clock until `nextAttemptAt`. */
    leasedBy: text('leased_by'),
    lastStatus: integer('last_status'),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    uniqueIndex('accounting_outbox_usage').on(table.usageId),
    index('accounting_outbox_due').on(table.nextAttemptAt).where(isDueDelivery(table)),
  ],
);

/** Append-only: every look of a supervisor, committed before anything is shown. Ids, never content. */
export const auditLog = sqliteTable(
  'audit_log',
  {
    id: text('id').primaryKey(),
    at: time('at').notNull(),
    actorId: text('actor_id').notNull(),
    actorRole: text('actor_role').$type<Role>().notNull(),
    action: text('action').$type<AuditAction>().notNull(),
    /** Whose data it was; null where it was nobody's in particular. */
    subjectId: text('subject_id'),
    sessionId: text('session_id'),
    /** Of an observation: its attach and its detach carry the same one. */
    connectionId: text('connection_id'),
    clientAddress: text('client_address'),
    requestId: text('request_id').notNull(),
    reason: text('reason'),
  },
  (table) => [
    index('audit_log_time').on(table.at, table.id),
    index('audit_log_actor').on(table.actorId, table.at, table.id),
    index('audit_log_subject').on(table.subjectId, table.at, table.id),
    // One attach and one detach a connection.
    uniqueIndex('audit_log_connection').on(table.connectionId, table.action),
  ],
);

/** The observations that are open now. A row whose lease has run out belongs to an instance that died. */
export const observations = sqliteTable(
  'observations',
  {
    /** Of the connection. */
    id: text('id').primaryKey(),
    sessionId: text('session_id').notNull(),
    /** The session's user. */
    subjectId: text('subject_id').notNull(),
    observerId: text('observer_id').notNull(),
    observerRole: text('observer_role').$type<Role>().notNull(),
    owner: text('owner').notNull(),
    leaseExpiresAt: time('lease_expires_at').notNull(),
    clientAddress: text('client_address'),
    requestId: text('request_id').notNull(),
    createdAt: time('created_at').notNull(),
  },
  (table) => [index('observations_session').on(table.sessionId), index('observations_lease').on(table.leaseExpiresAt)],
);
