import { loadCatalogue, type ModelCatalogue } from '../features/models/catalogue.ts';
import type { Env, RawEnv } from './env.ts';
import { readNamedFile, type ReadTextFile } from './read-named-file.ts';

export interface ModelsConfig {
  readonly catalogue: ModelCatalogue;
  /** Whether the demo provider is on. */
  readonly demo: boolean;
  readonly openai: {
    readonly apiKey: string | undefined;
    /** Where a model names none; undefined for OpenAI's own. */
    readonly baseUrl: string | undefined;
  };
  /** Values of the variables that models name in `apiKeyEnv`, by name; those that are not set are left out. */
  readonly apiKeys: ReadonlyMap<string, string>;
}

export type ModelsResult =
  | { readonly ok: true; readonly config: ModelsConfig }
  | { readonly ok: false; readonly problems: readonly string[] };

export function loadModels(env: Env, raw: RawEnv, readTextFile: ReadTextFile): ModelsResult {
  const demo = env.DEMO_MODEL ?? env.NODE_ENV !== 'production';
  const path = env.MODELS_FILE;
  const file = path === undefined ? null : readNamedFile('MODELS_FILE', path, readTextFile);
  if (file?.ok === false) return file;
  const loaded = loadCatalogue({ file: file?.text ?? null, demo });
  if (!loaded.ok) return { ok: false, problems: loaded.problems.map((problem) => `MODELS_FILE: ${problem}`) };
  const { catalogue } = loaded;
  return {
    ok: true,
    config: {
      catalogue,
      demo,
      openai: { apiKey: env.OPENAI_API_KEY, baseUrl: env.OPENAI_BASE_URL },
      apiKeys: readApiKeys(catalogue, raw),
    },
  };
}

function readApiKeys(catalogue: ModelCatalogue, raw: RawEnv): Map<string, string> {
  const keys = new Map<string, string>();
  for (const { target } of catalogue.list()) {
    const value = target.apiKeyEnv === undefined ? undefined : raw[target.apiKeyEnv];
    if (target.apiKeyEnv !== undefined && value !== undefined && value.trim() !== '') {
      keys.set(target.apiKeyEnv, value);
    }
  }
  return keys;
}
