import type { User } from '@chat-service/shared/supervisor-api';
import type { Tables } from '../../db/database.ts';

export type UserRow = Tables['users']['$inferSelect'];

/** The stored user as supervisors see them. */
export function toUser(row: UserRow): User {
  return {
    id: row.id,
    username: row.username,
    email: row.email,
    role: row.role,
    plan: row.plan,
    sessionCount: row.sessionCount,
    lastSeenAt: row.lastSeenAt.toISOString(),
    createdAt: row.createdAt.toISOString(),
  };
}
