import { initTRPC } from '@trpc/server';
import superjson from 'superjson';
import type { AuditAction } from '../db/column-types.ts';
import type { RequestContext } from './context.ts';
import { formatError } from './error-mapping.ts';
import { deserializeInput } from './input-transformer.ts';
import type { RestDeclaration } from './rest-declaration.ts';

/** Declared on each procedure. */
export interface ProcedureMeta {
  readonly summary: string;
  /** Set by `publicProcedure`: answers also without a token. */
  readonly access?: 'public';
  /** Set by `createAuditedProcedures`: what is written down each time before it does anything. */
  readonly audit?: AuditAction;
  /** Where it is on the REST door, for each way there; left out for what is behind the other doors only. */
  readonly rest?: RestDeclaration | readonly RestDeclaration[];
}

/** Proxies drop a connection that is silent for half a minute or more. */
const pingMs = 15_000;

export const trpc = initTRPC
  .context<RequestContext>()
  .meta<ProcedureMeta>()
  .create({
    transformer: {
      input: { serialize: (value: unknown) => superjson.serialize(value), deserialize: deserializeInput },
      // Outputs are plain JSON: superjson would look at every part of every event to find that out.
      output: { serialize: (json: unknown) => ({ json }), deserialize: superjson.deserialize },
    },
    isDev: false,
    errorFormatter: formatError,
    sse: { ping: { enabled: true, intervalMs: pingMs }, client: { reconnectAfterInactivityMs: 3 * pingMs } },
    jsonl: { pingMs },
  });
