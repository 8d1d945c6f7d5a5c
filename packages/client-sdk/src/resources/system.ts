import type { HealthOutput, VersionOutput } from '@chat-service/shared/system-api';
import type { RequestOptions } from '../transport/call.ts';
import type { ResourceContext } from './resource-context.ts';

export interface System {
  /** How the service and what it depends on are; needs no valid token. */
  health(options?: RequestOptions): Promise<HealthOutput>;
  version(options?: RequestOptions): Promise<VersionOutput>;
}

export function createSystem({ trpc, call }: ResourceContext): System {
  return {
    health: (options) =>
      call((signal) => trpc.system.health.query(undefined, { signal }), { repeatable: true, options }),
    version: (options) =>
      call((signal) => trpc.system.version.query(undefined, { signal }), { repeatable: true, options }),
  };
}
