import { currentCall } from './current-call.ts';
import { isAsyncIterable, paced, type Outbound } from './pacing.ts';
import { trpc } from './trpc.ts';

interface Call {
  readonly ctx: { readonly outbound?: Outbound | undefined };
  readonly type: string;
  readonly signal: AbortSignal | undefined;
}

/** Lets a result out only when the client has taken what was sent before; only connections that say so are paced here. */
async function pace<Result extends { readonly ok: boolean; readonly data?: unknown }>(
  result: Result,
  { ctx: { outbound }, type, signal }: Call,
): Promise<Result> {
  if (outbound === undefined || !result.ok) return result;
  if (type !== 'subscription') {
    await outbound.ready(signal);
    return result;
  }
  return isAsyncIterable(result.data) ? { ...result, data: paced(result.data, outbound, signal) } : result;
}

/** For what needs no token: health and nothing else. */
export const publicProcedure = trpc.procedure
  .use(async ({ next, ...call }) => pace(await next(), call))
  .meta({ summary: 'Needs no token.', access: 'public' });

/**
 * Needs a valid token of any role. `ctx.principal` is who it speaks for, `ctx.holder` the same as who pays. One middleware
 * for all that: tRPC copies the whole call for each.
 */
export const userProcedure = trpc.procedure.use(async ({ ctx, type, signal, getRawInput, next }) => {
  const { authentication } = ctx;
  // What is too much is told before anything else: also to those who have no valid token, and ask all the same.
  await ctx.admitCall?.(signal);
  if (authentication.status === 'refused') throw authentication.error;
  // What a stranger sends is not worth a place in the log; what a user sends has the one that the operator gives it.
  currentCall.getStore()?.noteInput?.(await getRawInput());
  const { principal, token } = authentication;
  const { userId, plan } = principal;
  const result = await next({ ctx: { principal, holder: { userId, plan, userToken: token } } });
  return pace(result, { ctx, type, signal });
});
