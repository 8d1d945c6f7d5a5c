import type { Database } from '../../db/database.ts';
import type { IdempotencyKeys } from '../idempotency/idempotency-keys.ts';
import { fingerprint, type SendRequest } from './send-request.ts';

/**
 * The generation that was started under the request's key, null for a key that is not known (any more).
 * @throws ServiceError `IDEMPOTENCY_KEY_REUSED` when the key stands for another request
 */
export type FindByKey = (request: SendRequest) => Promise<string | null>;

export function createFindByKey({ database, keys }: { database: Database; keys: IdempotencyKeys }): FindByKey {
  return async function findByKey(request) {
    const { userId, idempotencyKey } = request;
    if (idempotencyKey === undefined) return null;
    const hash = keys.hash('send', fingerprint(request));
    const known = await keys.find(database.query, userId, idempotencyKey, hash);
    return known?.generationId ?? null;
  };
}
