import type { Session } from '@chat-service/shared/objects';
import { expect } from 'vitest';
import { testModel } from './world.ts';

export const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u;
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u;

/** What `session` has to equal, right after it was made by this user with nothing said of it. */
export function untouchedSession(userId: string, { createdAt }: Session): Record<keyof Session, unknown> {
  return {
    id: expect.stringMatching(uuidV7),
    userId,
    title: null,
    modelId: testModel,
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
    createdAt: expect.stringMatching(isoTime),
    updatedAt: createdAt,
  };
}
