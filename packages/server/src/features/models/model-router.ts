import { listModelsOutput } from '@chat-service/shared/model-api';
import { userProcedure } from '../../trpc/procedures.ts';
import { trpc } from '../../trpc/trpc.ts';
import type { ListModels } from './list-models.ts';

export interface ModelRouterDependencies {
  readonly listModels: ListModels;
}

export function createModelRouter({ listModels }: ModelRouterDependencies) {
  return trpc.router({
    list: userProcedure
      .meta({ summary: 'Lists the models, with prices, limits and whether they can be used now.' })
      .output(listModelsOutput)
      .query(() => listModels()),
  });
}
