import type { Message } from '@chat-service/shared/objects';
import type { Tables } from '../../db/database.ts';

export type MessageRow = Tables['messages']['$inferSelect'];

/** The stored message as every door shows it. */
export function toMessage(row: MessageRow): Message {
  return {
    id: row.id,
    sessionId: row.sessionId,
    role: row.role,
    content: row.content,
    status: row.status,
    modelId: row.modelId,
    fallbackFrom: row.fallbackFrom,
    stoppedBy: row.stoppedBy,
    usage: row.usage,
    finishReason: row.finishReason,
    error: row.errorCode === null ? null : { code: row.errorCode },
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}
