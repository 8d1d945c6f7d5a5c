import { usageOutput } from '@chat-service/shared/account-api';
import { userProcedure } from '../../trpc/procedures.ts';
import { trpc } from '../../trpc/trpc.ts';
import type { GetUsage } from './get-usage.ts';

export interface AccountOperations {
  readonly getUsage: GetUsage;
}

export function createAccountRouter({ getUsage }: AccountOperations) {
  return trpc.router({
    usage: userProcedure
      .meta({
        summary: "The caller's credits, quotas and rate limit.",
        rest: { method: 'GET', path: '/api/account/usage', operationId: 'getUsage', tag: 'Account' },
      })
      .output(usageOutput)
      .query(({ ctx, signal }) => getUsage(ctx.holder, signal)),
  });
}
