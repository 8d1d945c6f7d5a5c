import { z } from 'zod';
import { capabilitySchema } from '@chat-service/shared/objects';
import { boundedText } from '@chat-service/shared/text';
import { describeFileIssues, parseJsonFile } from '../../platform/json-file.ts';

/** Names of the providers that a catalogue may use. */
export const providerNames = ['demo', 'openai'] as const;

/** Seconds, as `timeouts` in the file; what a model leaves out is taken from here. */
export const defaultTimeouts = { firstToken: 60, idle: 60, total: 600 };
/** Seconds of silence after which Node's own HTTP client gives up, whatever is configured here. */
const longestSilence = 290;
const longestTotal = 86_400;

/** Credits per 1,000 tokens, in the six places that credits have. */
const price = z
  .number({ error: (issue) => (issue.input === undefined ? 'is missing' : 'must be a number') })
  .min(0, { error: 'must not be negative' })
  .max(1_000_000, { error: 'must be at most 1000000' })
  .refine((value) => Number(value.toFixed(6)) === value, { error: 'must have at most 6 decimal places' });
const rating = z.number().min(1, { error: 'must be from 1 to 5' }).max(5, { error: 'must be from 1 to 5' });
const tokens = z.int().min(1).max(100_000_000);
const seconds = (longest: number) =>
  z
    .number()
    .positive()
    .max(longest, { error: `must be at most ${longest} seconds` });

const modelEntry = z.strictObject({
  id: boundedText(1, 200),
  name: boundedText(1, 200),
  provider: z.enum(providerNames, {
    error: (issue) => `unknown provider ${JSON.stringify(issue.input)}: known are ${providerNames.join(', ')}`,
  }),
  providerModel: boundedText(1, 200),
  description: boundedText(0, 2_000),
  capabilities: z.array(capabilitySchema),
  creditCost: z.strictObject(
    { input: price, output: price },
    {
      error: ({ code, input }) => {
        if (code !== 'invalid_type') return undefined;
        const form = 'the credits per 1,000 tokens of input and of output, 0 where they cost nothing';
        return `${input === undefined ? 'is missing' : 'must be an object with input and output'}: ${form}`;
      },
    },
  ),
  maxTokens: tokens,
  contextWindow: tokens,
  ratings: z.strictObject({ speed: rating, quality: rating }),
  fallback: z.string().optional(),
  baseUrl: z.url({ protocol: /^https?$/, error: 'must be an http or https address' }).optional(),
  apiKeyEnv: z
    .string()
    .regex(/^[A-Za-z_]\w*$/, { error: 'must be the name of an environment variable' })
    .optional(),
  timeouts: z
    .strictObject({
      firstToken: seconds(longestSilence).optional(),
      idle: seconds(longestSilence).optional(),
      total: seconds(longestTotal).optional(),
    })
    .optional(),
});

const catalogueFile = z.strictObject({
  default: z.string(),
  models: z.array(modelEntry).min(1, { error: 'must name at least one model' }),
});

export type CatalogueFile = z.infer<typeof catalogueFile>;
export type CatalogueFileModel = CatalogueFile['models'][number];

export type CatalogueFileResult =
  | { readonly ok: true; readonly file: CatalogueFile }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads the text of a catalogue file; tells every problem at once, each with the model it is about. */
export function readCatalogueFile(text: string): CatalogueFileResult {
  const read = parseJsonFile(text);
  if (!read.ok) return read;
  const { json } = read;
  const parsed = catalogueFile.safeParse(json);
  const issues = parsed.success ? [] : describeFileIssues(parsed.error, (path) => describePath(path, json));
  // What is wrong between models is told together with what is wrong in them, as far as it can be read.
  const problems = [...issues, ...relationProblems(json)];
  return parsed.success && problems.length === 0 ? { ok: true, file: parsed.data } : { ok: false, problems };
}

/** `model "a" creditCost.input`, or the bare path where the model has no readable id. */
function describePath(path: readonly PropertyKey[], json: unknown): string {
  const [first, index, ...rest] = path;
  if (first !== 'models' || typeof index !== 'number') return path.length === 0 ? 'the file' : path.join('.');
  const entry = looseFile.safeParse(json).data?.models[index];
  const name = entry?.id === undefined ? `models[${index}]` : `model ${JSON.stringify(entry.id)}`;
  return [name, rest.join('.')].filter((part) => part !== '').join(' ');
}

const looseFile = z.object({
  default: z.string().optional().catch(undefined),
  models: z
    .array(
      z
        .object({
          id: z.string().optional().catch(undefined),
          fallback: z.string().optional().catch(undefined),
          maxTokens: z.number().optional().catch(undefined),
          contextWindow: z.number().optional().catch(undefined),
        })
        .catch({}),
    )
    .catch([]),
});

function relationProblems(json: unknown): string[] {
  const file = looseFile.safeParse(json).data;
  if (file === undefined || file.models.length === 0) return [];
  const problems: string[] = [];
  const fallbacks = new Map<string, string | undefined>();
  for (const { id, fallback, maxTokens = 0, contextWindow = Infinity } of file.models) {
    if (id === undefined) continue;
    if (fallbacks.has(id)) problems.push(`model ${JSON.stringify(id)}: the id is used twice`);
    fallbacks.set(id, fallback);
    if (maxTokens > contextWindow) {
      problems.push(
        `model ${JSON.stringify(id)}: maxTokens (${maxTokens}) is more than contextWindow (${contextWindow})`,
      );
    }
  }
  for (const [id, fallback] of fallbacks) {
    if (fallback !== undefined && !fallbacks.has(fallback)) {
      problems.push(`model ${JSON.stringify(id)}: unknown fallback ${JSON.stringify(fallback)}`);
    }
  }
  problems.push(...fallbackCycles(fallbacks));
  if (file.default !== undefined && !fallbacks.has(file.default)) {
    problems.push(`default: unknown model ${JSON.stringify(file.default)}`);
  }
  return problems;
}

/** Each cycle once. */
function fallbackCycles(fallbacks: ReadonlyMap<string, string | undefined>): string[] {
  const problems: string[] = [];
  const walked = new Set<string>();
  for (const start of fallbacks.keys()) {
    const path: string[] = [];
    let id: string | undefined = start;
    while (id !== undefined && fallbacks.has(id) && !walked.has(id)) {
      walked.add(id);
      path.push(id);
      id = fallbacks.get(id);
    }
    const begin = id === undefined ? -1 : path.indexOf(id);
    if (begin >= 0) problems.push(`fallbacks go in a circle: ${[...path.slice(begin), id].join(' → ')}`);
  }
  return problems;
}
