import type { Model } from '@chat-service/shared/objects';
import type { ProviderModel } from '../../clients/providers/provider.ts';
import { builtInCatalogue } from './built-in-catalogue.ts';
import { defaultTimeouts, readCatalogueFile, type CatalogueFile, type CatalogueFileModel } from './catalogue-file.ts';

/** A model as configured: what clients see of it, and how it is called. */
export interface CatalogueModel extends Omit<Model, 'available' | 'unavailableReason'> {
  /** The model that answers in its place when it fails before its first token. */
  readonly fallback: string | null;
  readonly target: ProviderModel;
}

export interface ModelCatalogue {
  /** Id of the model that a session gets when none is named. */
  readonly default: string;
  get(id: string): CatalogueModel | undefined;
  /** In the order of the file. */
  list(): readonly CatalogueModel[];
  /** The model, then its fallback, the fallback of that, and so on; empty for an unknown one. */
  chain(id: string): readonly CatalogueModel[];
}

export interface CatalogueSource {
  /** The text of `MODELS_FILE`, which replaces the built-in catalogue; null where none is set. */
  readonly file: string | null;
  /** Whether the demo model is offered; decides the built-in catalogue's default. */
  readonly demo: boolean;
}

export type CatalogueResult =
  | { readonly ok: true; readonly catalogue: ModelCatalogue }
  | { readonly ok: false; /** One sentence each. */ readonly problems: readonly string[] };

export function loadCatalogue({ file, demo }: CatalogueSource): CatalogueResult {
  if (file === null) return { ok: true, catalogue: createCatalogue(builtInCatalogue(demo)) };
  const read = readCatalogueFile(file);
  return read.ok ? { ok: true, catalogue: createCatalogue(read.file) } : read;
}

function createCatalogue(file: CatalogueFile): ModelCatalogue {
  const models = new Map(file.models.map((model) => [model.id, toCatalogueModel(model)]));
  const chains = new Map([...models.values()].map((model) => [model.id, followFallbacks(model, models)]));
  return {
    default: file.default,
    get: (id) => models.get(id),
    list: () => [...models.values()],
    chain: (id) => chains.get(id) ?? [],
  };
}

function followFallbacks(first: CatalogueModel, models: ReadonlyMap<string, CatalogueModel>): CatalogueModel[] {
  const chain: CatalogueModel[] = [];
  for (let model: CatalogueModel | undefined = first; model !== undefined && !chain.includes(model);) {
    chain.push(model);
    model = model.fallback === null ? undefined : models.get(model.fallback);
  }
  return chain;
}

function toCatalogueModel(entry: CatalogueFileModel): CatalogueModel {
  const { providerModel, baseUrl, apiKeyEnv, timeouts, fallback = null, ...shown } = entry;
  const milliseconds = {
    firstToken: (timeouts?.firstToken ?? defaultTimeouts.firstToken) * 1000,
    idle: (timeouts?.idle ?? defaultTimeouts.idle) * 1000,
    total: (timeouts?.total ?? defaultTimeouts.total) * 1000,
  };
  return { ...shown, fallback, target: { providerModel, baseUrl, apiKeyEnv, timeouts: milliseconds } };
}
