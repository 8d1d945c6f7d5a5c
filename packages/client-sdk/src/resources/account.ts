import type { UsageOutput } from '@chat-service/shared/account-api';
import type { RequestOptions } from '../transport/call.ts';
import type { ResourceContext } from './resource-context.ts';

export interface Account {
  /** The caller's credits, quotas and rate limit as they stand now. The call counts towards the rate limit itself. */
  usage(options?: RequestOptions): Promise<UsageOutput>;
}

export function createAccount({ trpc, call }: ResourceContext): Account {
  return {
    usage: (options) =>
      call((signal) => trpc.account.usage.query(undefined, { signal }), { repeatable: true, options }),
  };
}
