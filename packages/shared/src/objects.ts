import { z } from 'zod';
import { boundedText } from './text.ts';
import { isErrorCode, type ErrorCode } from './errors.ts';

/**
 * UUIDv7 in lower case, as every id of the service. Any UUID is read, so that an unknown one is 404, not 400; one in
 * capitals is the same (RFC 9562) and becomes lower case here, since not every database compares them so.
 */
export const idSchema = z.uuid().toLowerCase();
/** ISO 8601 UTC with milliseconds. */
export const timeSchema = z.iso.datetime({ precision: 3 });

/** How the model is asked to write; what is left out is the provider's default. */
export const parametersSchema = z.strictObject({
  temperature: z.number().min(0).max(2).optional(),
  topP: z.number().min(0).max(1).optional(),
  /** Upper bound of the answer in tokens; the model's own `maxTokens` bounds it further. */
  maxTokens: z.int().min(1).optional(),
});
export type Parameters = z.infer<typeof parametersSchema>;

const metadataMaxPairs = 16;
/** superjson carries no member of these names. */
const reservedNames: ReadonlySet<string> = new Set(['constructor', 'prototype']);
const metadataKeyLength = { minLength: 1, maxLength: 64 };
const metadataKey = boundedText(metadataKeyLength.minLength, metadataKeyLength.maxLength)
  .refine((key) => !reservedNames.has(key), { message: 'must not be a name that JavaScript reserves' })
  .meta(metadataKeyLength);
/**
 * Up to 16 pairs of the client's own; keys of at most 64, values of at most 512 characters. `constructor` and `prototype`
 * are no keys.
 */
export const metadataSchema = z
  .record(metadataKey, boundedText(0, 512))
  .refine((pairs) => Object.keys(pairs).length <= metadataMaxPairs, {
    message: `must have at most ${metadataMaxPairs} pairs`,
  })
  .meta({ maxProperties: metadataMaxPairs });
export type Metadata = z.infer<typeof metadataSchema>;

export const roleSchema = z.enum(['enduser', 'supervisor', 'admin']);
/** What the token's holder may do; each includes the one before. */
export type Role = z.infer<typeof roleSchema>;

export const sessionSchema = z.object({
  id: idSchema,
  userId: z.string(),
  title: z.string().nullable(),
  modelId: z.string(),
  source: z.string(),
  systemPrompt: z.string().nullable(),
  parameters: parametersSchema,
  metadata: metadataSchema,
  status: z.enum(['idle', 'streaming']),
  /** The generation that is running, to be followed with `message.follow`; null while `idle`. */
  activeStreamId: idSchema.nullable(),
  messageCount: z.int(),
  lastMessageAt: timeSchema.nullable(),
  temporary: z.boolean(),
  /** Number of supervisors watching, where the operator shows it; null otherwise. */
  observers: z.int().nullable(),
  createdAt: timeSchema,
  updatedAt: timeSchema,
});
/** A conversation with its settings. */
export type Session = z.infer<typeof sessionSchema>;

export const usageSchema = z.object({
  inputTokens: z.int(),
  outputTokens: z.int(),
  totalTokens: z.int(),
  /** Part of `inputTokens`. */
  cachedInputTokens: z.int(),
  /** Part of `outputTokens`. */
  reasoningTokens: z.int(),
  /** Credits, with at most 6 decimal places. */
  credits: z.number(),
  /** True where the provider told no figure in time and the tokens were counted here. */
  estimated: z.boolean(),
});
/** What an answer took, in tokens and credits. */
export type Usage = z.infer<typeof usageSchema>;

export const messageStatusSchema = z.enum(['complete', 'streaming', 'stopped', 'failed', 'interrupted']);
/** `streaming` while it is written, then one of the others for good. A user's message is `complete`. */
export type MessageStatus = z.infer<typeof messageStatusSchema>;

export const finishReasonSchema = z.enum(['stop', 'length', 'content_filter', 'stopped']);
/** Why the text ends: `length` at a limit of tokens, `content_filter` by the provider, `stopped` by a user or supervisor. */
export type FinishReason = z.infer<typeof finishReasonSchema>;

const errorCodeSchema = z.custom<ErrorCode>(isErrorCode, { message: 'unknown error code' }).meta({ type: 'string' });

export const messageSchema = z.object({
  id: idSchema,
  sessionId: idSchema,
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  status: messageStatusSchema,
  /** The model that answered; null on user messages. */
  modelId: z.string().nullable(),
  /** The model that was asked for, where another one answered in its place. */
  fallbackFrom: z.string().nullable(),
  /** Who stopped it; null where nobody did. */
  stoppedBy: z.enum(['user', 'supervisor']).nullable(),
  /** Null on user messages, while it is written, and where nothing is charged. */
  usage: usageSchema.nullable(),
  /** Null on user messages, while it is written, and where it failed or was interrupted. */
  finishReason: finishReasonSchema.nullable(),
  /** Why it failed or was interrupted; null where it did not. */
  error: z.object({ code: errorCodeSchema }).nullable(),
  createdAt: timeSchema,
  updatedAt: timeSchema,
});
/** What was said, by the user or by a model. */
export type Message = z.infer<typeof messageSchema>;

export const capabilitySchema = z.enum(['general', 'code', 'creative', 'analysis', 'vision', 'tools', 'reasoning']);
/** What a model is good for, or can do. */
export type Capability = z.infer<typeof capabilitySchema>;

export const modelSchema = z.object({
  id: z.string(),
  name: z.string(),
  provider: z.string(),
  description: z.string(),
  capabilities: z.array(capabilitySchema),
  /** Credits per 1,000 tokens. */
  creditCost: z.object({ input: z.number(), output: z.number() }),
  /** Most tokens of one answer. */
  maxTokens: z.int(),
  /** Most tokens of prompt and answer together. */
  contextWindow: z.int(),
  /** From 1 to 5. */
  ratings: z.object({ speed: z.number(), quality: z.number() }),
  available: z.boolean(),
  /** In words for users; null while it is available. */
  unavailableReason: z.string().nullable(),
});
/** A model of the catalogue. */
export type Model = z.infer<typeof modelSchema>;
