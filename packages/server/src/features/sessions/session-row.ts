import type { Session } from '@chat-service/shared/objects';
import type { Tables } from '../../db/database.ts';

export type SessionRow = Tables['sessions']['$inferSelect'];

/** The stored session as every door shows it. */
export type ToSession = (row: SessionRow) => Session;

export function createToSession(defaultModelId: string): ToSession {
  return (row) => ({
    id: row.id,
    userId: row.userId,
    title: row.title,
    modelId: row.modelId ?? defaultModelId,
    source: row.source,
    systemPrompt: row.systemPrompt,
    parameters: row.parameters,
    metadata: row.metadata,
    status: row.activeGenerationId === null ? 'idle' : 'streaming',
    activeStreamId: row.activeGenerationId,
    messageCount: row.messageCount,
    lastMessageAt: row.lastMessageAt?.toISOString() ?? null,
    temporary: row.temporary,
    observers: null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  });
}
