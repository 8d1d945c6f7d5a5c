import { initTRPC } from '@trpc/server';
import superjson from 'superjson';
import type { RequestContext } from './context.ts';
import { toWireError } from './error-mapping.ts';

/** Declared on each procedure. */
export interface ProcedureMeta {
  readonly summary: string;
}

export const trpc = initTRPC
  .context<RequestContext>()
  .meta<ProcedureMeta>()
  .create({
    transformer: superjson,
    isDev: false,
    errorFormatter: toWireError,
  });
