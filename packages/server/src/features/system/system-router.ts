import { healthOutput, versionOutput, type VersionOutput } from '@chat-service/shared/system-api';
import { publicProcedure, userProcedure } from '../../trpc/procedures.ts';
import { trpc } from '../../trpc/trpc.ts';
import type { CheckHealth } from './check-health.ts';

export function createSystemRouter({ checkHealth, version }: { checkHealth: CheckHealth; version: VersionOutput }) {
  return trpc.router({
    health: publicProcedure
      .meta({ summary: 'How the service and what it depends on are' })
      .output(healthOutput)
      .query(() => checkHealth()),
    version: userProcedure
      .meta({ summary: 'What is running' })
      .output(versionOutput)
      .query(() => version),
  });
}
