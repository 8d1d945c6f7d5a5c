import type { Tables } from '../../src/db/database.ts';

const time = new Date('2026-01-02T03:04:05.678Z');

/** A whole user; what a test is about it sets itself. */
export function userRow(id: string): Tables['users']['$inferInsert'] {
  return { id, role: 'enduser', plan: 'free', lastSeenAt: time, createdAt: time };
}

export function sessionRow(id: string, userId: string): Tables['sessions']['$inferInsert'] {
  return {
    id,
    userId,
    titleIsAutomatic: true,
    source: 'api',
    parameters: {},
    metadata: {},
    temporary: false,
    sortAt: time,
    createdAt: time,
    updatedAt: time,
  };
}

export function generationRow(
  id: string,
  sessionId: string,
  claimFence: number,
): Tables['generations']['$inferInsert'] {
  return {
    id,
    sessionId,
    userId: 'user',
    status: 'reserving',
    claimFence,
    fence: claimFence,
    owner: 'instance',
    leaseExpiresAt: time,
    modelId: 'demo',
    createdAt: time,
  };
}

/** Of a user; its id is its session's with its sequence. */
export function messageRow(sessionId: string, sequence: number): Tables['messages']['$inferInsert'] {
  return {
    id: `${sessionId}-${sequence}`,
    sessionId,
    sequence,
    role: 'user',
    content: `message ${sequence}`,
    status: 'complete',
    createdAt: time,
    updatedAt: time,
  };
}
