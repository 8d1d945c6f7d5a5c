import { listModelsOutput, recommendModelInput, recommendModelOutput } from '@chat-service/shared/model-api';
import { userProcedure } from '../../trpc/procedures.ts';
import { trpc } from '../../trpc/trpc.ts';
import type { ListModels } from './list-models.ts';
import type { RecommendModel } from './recommend-model.ts';

export interface ModelRouterDependencies {
  readonly listModels: ListModels;
  readonly recommendModel: RecommendModel;
}

export function createModelRouter({ listModels, recommendModel }: ModelRouterDependencies) {
  return trpc.router({
    list: userProcedure
      .meta({
        summary: 'Lists the models, with prices, limits and whether they can be used now.',
        rest: { method: 'GET', path: '/api/models', operationId: 'listModels', tag: 'Models' },
      })
      .output(listModelsOutput)
      .query(() => listModels()),
    recommend: userProcedure
      .meta({
        summary: 'Recommends an available model for a task.',
        rest: {
          method: 'POST',
          path: '/api/models/recommend',
          operationId: 'recommendModel',
          tag: 'Models',
          description:
            'Models are ordered by their ratings and their cost, weighted by the priority; the same catalogue gives the same answer.',
        },
      })
      .input(recommendModelInput)
      .output(recommendModelOutput)
      .query(({ ctx, input }) => recommendModel({ ...input, userId: ctx.principal.userId })),
  });
}
