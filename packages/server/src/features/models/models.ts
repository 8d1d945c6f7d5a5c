import type { Provider } from '../../clients/providers/provider.ts';
import type { CatalogueModel, ModelCatalogue } from './catalogue.ts';

/** Providers by the name that the catalogue uses; what is left out is switched off. */
export type Providers = Readonly<Partial<Record<string, Provider>>>;

export interface Models {
  readonly catalogue: ModelCatalogue;
  /** The model and those that may answer in its place, the model itself first; empty for an unknown one. */
  chain(modelId: string): readonly CatalogueModel[];
  /** Null when the model itself can be called, else why not, in words for users. */
  availability(modelId: string): string | null;
  /** Null when a call would find someone to answer it: the model itself or one of its chain. */
  unavailableReason(modelId: string): string | null;
  provider(model: CatalogueModel): Provider | undefined;
}

export interface ModelsOptions {
  readonly catalogue: ModelCatalogue;
  readonly providers: Providers;
}

export function createModels({ catalogue, providers }: ModelsOptions): Models {
  const provider = (model: CatalogueModel) =>
    Object.hasOwn(providers, model.provider) ? providers[model.provider] : undefined;
  const reasonOf = (model: CatalogueModel) => {
    const own = provider(model);
    return own === undefined
      ? `The provider “${model.provider}” is switched off on this server: choose another model.`
      : own.unavailableReason(model.target);
  };
  return {
    catalogue,
    chain: catalogue.chain,
    availability(modelId) {
      const model = catalogue.get(modelId);
      return model === undefined ? 'The model is not configured.' : reasonOf(model);
    },
    unavailableReason(modelId) {
      const chain = catalogue.chain(modelId);
      const reasons = chain.map(reasonOf);
      return reasons.includes(null) ? null : (reasons[0] ?? 'The model is not configured.');
    },
    provider,
  };
}
