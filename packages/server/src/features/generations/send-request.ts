import type { Parameters } from '@chat-service/shared/objects';
import type { AccountHolder } from '../../clients/accounting/accounting.ts';

/** What `send`, `start` and `stream` ask for alike: over any door they are one operation. */
export interface SendRequest extends AccountHolder {
  readonly sessionId: string;
  readonly message?: string | undefined;
  readonly modelId?: string | undefined;
  readonly parameters?: Parameters | undefined;
  readonly idempotencyKey?: string | undefined;
}

/** The request as its idempotency key remembers it: what it asks for, in an order that does not depend on the caller. */
export function fingerprint({ sessionId, message, modelId, parameters }: SendRequest): unknown {
  const { temperature, topP, maxTokens } = parameters ?? {};
  return [sessionId, message ?? null, modelId ?? null, temperature ?? null, topP ?? null, maxTokens ?? null];
}
