import { loadCatalogue, type ModelCatalogue } from '../features/models/catalogue.ts';
import type { Env, RawEnv } from './env.ts';

/** Reads a whole text file; throws what `node:fs` throws. */
export type ReadTextFile = (path: string) => string;

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
  const read = readModelsFile(env.MODELS_FILE, readTextFile);
  if (!read.ok) return read;
  const loaded = loadCatalogue({ file: read.text, demo });
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

function readModelsFile(
  path: string | undefined,
  readTextFile: ReadTextFile,
): { ok: true; text: string | null } | { ok: false; problems: string[] } {
  if (path === undefined) return { ok: true, text: null };
  try {
    return { ok: true, text: readTextFile(path) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    return { ok: false, problems: [`MODELS_FILE: the file cannot be read (${code})`] };
  }
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
