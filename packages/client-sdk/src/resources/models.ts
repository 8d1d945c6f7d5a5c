import type { ListModelsOutput } from '@chat-service/shared/model-api';
import type { RequestOptions } from '../transport/call.ts';
import type { ResourceContext } from './resource-context.ts';

export interface Models {
  /** Every configured model, and the id of the default one. */
  list(options?: RequestOptions): Promise<ListModelsOutput>;
}

export function createModels({ trpc, call }: ResourceContext): Models {
  return {
    list: (options) => call((signal) => trpc.model.list.query(undefined, { signal }), { repeatable: true, options }),
  };
}
