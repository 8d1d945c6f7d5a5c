import { z } from 'zod';
import { lastEventIdSchema } from './idempotency.ts';
import { idSchema, messageSchema, roleSchema, sessionSchema, timeSchema } from './objects.ts';
import { maxCursorLength, pagedInput, paginationSchema } from './paging.ts';
import { boundedText } from './text.ts';

/** Why the supervisor looks; kept in the audit log. */
export const reasonSchema = boundedText(1, 500).optional();
/** The token's `sub`. */
const userIdSchema = boundedText(1, 512);

export const userSchema = z.object({
  id: z.string(),
  username: z.string().nullable(),
  email: z.string().nullable(),
  role: roleSchema,
  plan: z.string(),
  /** Of listed sessions. */
  sessionCount: z.int(),
  lastSeenAt: timeSchema,
  createdAt: timeSchema,
});
/** A user as supervisors see them, from the claims of the latest token. */
export type User = z.infer<typeof userSchema>;

/** With `lastEventId` it goes on after that event; without, it begins with the history. */
export const observeInput = z.strictObject({
  sessionId: idSchema,
  reason: reasonSchema,
  lastEventId: lastEventIdSchema,
});
export type ObserveInput = z.infer<typeof observeInput>;

export const stopObservedInput = z.strictObject({ sessionId: idSchema, reason: reasonSchema });
export type StopObservedInput = z.infer<typeof stopObservedInput>;
export const stopObservedOutput = z.object({ message: messageSchema });

export const liveInput = z.strictObject({ reason: reasonSchema });
export const liveSessionSchema = z.object({
  session: sessionSchema,
  user: userSchema,
  /** The model asked for. */
  modelId: z.string(),
  startedAt: timeSchema,
  /** Written so far; counted from the stored text, at most a second old. */
  outputTokens: z.int(),
  /** How many supervisors are watching. */
  observers: z.int(),
});
/** A session in which an answer is being written. */
export type LiveSession = z.infer<typeof liveSessionSchema>;
export const liveOutput = z.object({ sessions: z.array(liveSessionSchema) });
export type LiveOutput = z.infer<typeof liveOutput>;

export const userSessionsInput = pagedInput({ userId: userIdSchema, reason: reasonSchema });
export type UserSessionsInput = z.infer<typeof userSessionsInput>;
export const userSessionsOutput = z.object({
  user: userSchema,
  sessions: z.array(sessionSchema),
  pagination: paginationSchema,
});
export type UserSessionsOutput = z.infer<typeof userSessionsOutput>;

export const userSessionInput = z.strictObject({
  userId: userIdSchema,
  sessionId: idSchema,
  /** How many of the newest messages come along, 1 to 500. @default 100 */
  messageLimit: z.int().min(1).max(500).optional(),
  /** `pagination.nextCursor` of an earlier answer: the messages before those. */
  cursor: z.string().min(1).max(maxCursorLength).optional(),
  reason: reasonSchema,
});
export type UserSessionInput = z.infer<typeof userSessionInput>;
export const userSessionOutput = z.object({
  user: userSchema,
  session: sessionSchema,
  /** The newest ones, or the newest before the cursor, oldest first. */
  messages: z.array(messageSchema),
  pagination: paginationSchema,
});
export type UserSessionOutput = z.infer<typeof userSessionOutput>;

export const searchUsersInput = pagedInput({
  /** Three or more characters match any part of username, email or id, one or two its beginning; case does not count. */
  query: boundedText(1, 200),
  role: roleSchema.optional(),
  reason: reasonSchema,
});
export type SearchUsersInput = z.infer<typeof searchUsersInput>;
/** `pagination.total` is exact up to 1,000. */
export const searchUsersOutput = z.object({ users: z.array(userSchema), pagination: paginationSchema });
export type SearchUsersOutput = z.infer<typeof searchUsersOutput>;

const auditTimeSchema = z.iso.datetime({
  offset: true,
  error: 'must be a time such as 2026-01-31T09:30:00Z or 2026-01-31T10:30:00+01:00 (in a URL, + is written %2B)',
});

export const auditLogInput = pagedInput({
  /** Who looked. */
  actorId: userIdSchema.optional(),
  /** Whose data it was. */
  subjectId: userIdSchema.optional(),
  /** From this time on (RFC 3339). */
  from: auditTimeSchema.optional(),
  /** Before this time (RFC 3339). */
  to: auditTimeSchema.optional(),
});
export type AuditLogInput = z.infer<typeof auditLogInput>;

export const auditEntrySchema = z.object({
  id: idSchema,
  at: timeSchema,
  actorId: z.string(),
  actorRole: roleSchema,
  /**
   * What was done: `observe.attach`, `observe.detach`, `live.list`, `user.search`, `user.sessions`, `user.session`,
   * `generation.stop` or `audit.read`; more may come.
   */
  action: z.string(),
  /** Whose data it was; null where it was nobody's in particular. */
  subjectId: z.string().nullable(),
  sessionId: idSchema.nullable(),
  /** The same on the attach and the detach of one observation; null where there was no such session to observe. */
  connectionId: idSchema.nullable(),
  clientAddress: z.string().nullable(),
  requestId: z.string(),
  reason: z.string().nullable(),
});
/** One look of a supervisor: ids, never content. */
export type AuditEntry = z.infer<typeof auditEntrySchema>;
export const auditLogOutput = z.object({ entries: z.array(auditEntrySchema), pagination: paginationSchema });
export type AuditLogOutput = z.infer<typeof auditLogOutput>;
