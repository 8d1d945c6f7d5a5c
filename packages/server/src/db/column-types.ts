import type { ErrorCode, ErrorIds } from '@chat-service/shared/errors';
import type { Parameters } from '@chat-service/shared/objects';

/** A live generation is `reserving` or `running`; every other status is final, `refused` meaning forgotten. */
export type GenerationStatus = 'reserving' | 'running' | 'complete' | 'stopped' | 'failed' | 'interrupted' | 'refused';

/** Who asked the owner of a generation to end it early. */
export type StopRequester = 'user' | 'supervisor' | 'deletion' | 'shutdown';

/** What an idempotency key was used for. */
export type IdempotentOperation = 'send' | 'session.create';

/** What a generation was admitted with. */
export interface GenerationRequest {
  parameters: Parameters;
  /** Upper bound of the answer in tokens. */
  maxTokens: number;
}

/** Credits per 1,000 tokens by model id: the model asked for and every model that may answer in its place. */
export type GenerationPrices = Record<string, { input: number; output: number }>;

/** Why a generation was refused, as every copy of the request is told. */
export interface GenerationRefusal {
  code: ErrorCode;
  detail?: string;
  /** Seconds. */
  retryAfter?: number;
  ids?: ErrorIds;
}
