import { describe, expect, it } from 'vitest';
import type { Authentication } from '../../../src/trpc/context.ts';
import { createModelRouter } from '../../../src/features/models/model-router.ts';
import { ServiceError } from '../../../src/platform/service-error.ts';
import { trpc } from '../../../src/trpc/trpc.ts';

const listed = { models: [], default: 'demo' };

function callerOf(authentication: Authentication) {
  const router = createModelRouter({
    listModels: () => listed,
    recommendModel: () => Promise.reject(new Error('is not asked here')),
  });
  return trpc.createCallerFactory(router)({ requestId: 'r', authentication });
}

describe('model.list', () => {
  it('answers any user', async () => {
    const principal = {
      userId: 'u',
      username: null,
      email: null,
      role: 'enduser',
      plan: 'free',
      issuedAt: null,
      expiresAt: 0,
    } as const;
    expect(await callerOf({ status: 'verified', principal, token: 'x.y.z' }).list()).toEqual(listed);
  });

  it('answers nobody without a token', async () => {
    const caller = callerOf({ status: 'refused', error: new ServiceError('UNAUTHORIZED') });
    await expect(caller.list()).rejects.toMatchObject({ cause: { code: 'UNAUTHORIZED' } });
  });
});
