import { healthOutput, versionOutput, type VersionOutput } from '@chat-service/shared/system-api';
import { publicProcedure, userProcedure } from '../../trpc/procedures.ts';
import { trpc } from '../../trpc/trpc.ts';
import type { CheckHealth } from './check-health.ts';

export function createSystemRouter({ checkHealth, version }: { checkHealth: CheckHealth; version: VersionOutput }) {
  return trpc.router({
    health: publicProcedure
      .meta({
        summary: 'The state of the service and of what it depends on.',
        rest: { method: 'GET', path: '/api/health', operationId: 'getHealth', tag: 'System' },
      })
      .output(healthOutput)
      .query(() => checkHealth()),
    version: userProcedure
      .meta({
        summary: 'What is running.',
        rest: { method: 'GET', path: '/api/version', operationId: 'getVersion', tag: 'System' },
      })
      .output(versionOutput)
      .query(() => version),
  });
}
