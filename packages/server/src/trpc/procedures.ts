import { TRPCError } from '@trpc/server';
import { errorTable } from '@chat-service/shared/errors';
import { ServiceError } from '../platform/service-error.ts';
import { trpc } from './trpc.ts';

/** Gives every error its owner while it passes: what is typed keeps its code, the rest stays a bug. */
const typedErrors = trpc.middleware(async ({ next }) => {
  const result = await next();
  if (!result.ok && result.error.cause instanceof ServiceError) {
    const { cause } = result.error;
    throw new TRPCError({ code: errorTable[cause.code].trpc, cause });
  }
  return result;
});

/** For what needs no token: health and nothing else. */
export const publicProcedure = trpc.procedure.use(typedErrors);

/** Needs a valid token of any role. `ctx.principal` is who it speaks for. */
export const userProcedure = publicProcedure.use(({ ctx, next }) => {
  const { authentication } = ctx;
  if (authentication.status === 'refused') throw authentication.error;
  return next({ ctx: { principal: authentication.principal } });
});
