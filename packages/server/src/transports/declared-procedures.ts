import type { AnyTRPCRouter } from '@trpc/server';

/** What a procedure declares; nothing where there is no such procedure. */
function declarationOf(router: AnyTRPCRouter, path: string): { type?: unknown; meta?: unknown } {
  const procedures: unknown = router._def.procedures;
  const procedure = isRecord(procedures) && Object.hasOwn(procedures, path) ? procedures[path] : undefined;
  return typeof procedure === 'function' && '_def' in procedure && isRecord(procedure._def) ? procedure._def : {};
}

/** Whether it answers also without a token; such procedures count against no limit. */
export function isPublic(router: AnyTRPCRouter, path: string): boolean {
  const { meta } = declarationOf(router, path);
  return isRecord(meta) && meta['access'] === 'public';
}

export function isSubscription(router: AnyTRPCRouter, path: string): boolean {
  return declarationOf(router, path).type === 'subscription';
}

/** Whether it is a subscription that starts what it tells of. */
export function startsByWatching(router: AnyTRPCRouter, path: string): boolean {
  const { type, meta } = declarationOf(router, path);
  const rest = isRecord(meta) ? meta['rest'] : undefined;
  return type === 'subscription' && isRecord(rest) && rest['method'] === 'POST';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
