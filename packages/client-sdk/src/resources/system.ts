import type { HealthOutput, VersionOutput } from '@chat-service/shared/system-api';
import type { RequestOptions } from '../transport/call.ts';
import type { ResourceContext } from './resource-context.ts';

export interface System {
  /** The state of the service and of what it depends on; needs no valid token. */
  health(options?: RequestOptions): Promise<HealthOutput>;
  /** Which version of the service and of its interface is running. */
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
