import { currentCall } from './current-call.ts';
import { isAsyncIterable, paced } from './pacing.ts';
import { trpc } from './trpc.ts';

/** Lets a result out only when the client has taken what was sent before; only connections that say so are paced here. */
const pacedResults = trpc.middleware(async ({ ctx, type, signal, next }) => {
  const result = await next();
  const { outbound } = ctx;
  if (outbound === undefined || !result.ok) return result;
  if (type !== 'subscription') {
    await outbound.ready(signal);
    return result;
  }
  return isAsyncIterable(result.data) ? { ...result, data: paced(result.data, outbound, signal) } : result;
});

const procedure = trpc.procedure.use(pacedResults);

/** For what needs no token: health and nothing else. */
export const publicProcedure = procedure.meta({ summary: 'Needs no token.', access: 'public' });

/** What a stranger sends is not worth a place in the log; what a user sends has the one that the operator gives it. */
const notedInput = trpc.middleware(async ({ getRawInput, next }) => {
  currentCall.getStore()?.noteInput?.(await getRawInput());
  return next();
});

/** Needs a valid token of any role. `ctx.principal` is who it speaks for, `ctx.holder` the same as who pays. */
export const userProcedure = procedure
  .use(async ({ ctx, signal, next }) => {
    const { authentication } = ctx;
    // What is too much is told before anything else: also to those who have no valid token, and ask all the same.
    await ctx.admitCall?.(signal);
    if (authentication.status === 'refused') throw authentication.error;
    const { principal, token } = authentication;
    const { userId, plan } = principal;
    return next({ ctx: { principal, holder: { userId, plan, userToken: token } } });
  })
  .use(notedInput);
