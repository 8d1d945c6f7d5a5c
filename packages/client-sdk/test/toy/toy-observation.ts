import type { Session } from '@chat-service/shared/objects';
import type { User } from '@chat-service/shared/supervisor-api';

const time = '2026-01-01T00:00:00.000Z';

export const toyUser: User = {
  id: 'u',
  username: 'user',
  email: null,
  role: 'enduser',
  plan: 'free',
  sessionCount: 1,
  lastSeenAt: time,
  createdAt: time,
};

export function toySession(id: string): Session {
  return {
    id,
    userId: 'u',
    title: null,
    modelId: 'demo',
    source: 'api',
    systemPrompt: null,
    parameters: {},
    metadata: {},
    status: 'idle',
    activeStreamId: null,
    messageCount: 0,
    lastMessageAt: null,
    temporary: false,
    observers: null,
    createdAt: time,
    updatedAt: time,
  };
}
