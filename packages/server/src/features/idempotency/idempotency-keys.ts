import { createHmac } from 'node:crypto';
import { and, eq, inArray } from 'drizzle-orm';
import type { IdempotentOperation } from '../../db/column-types.ts';
import type { Database, Queryable } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';

/** What a key was used for: ids and a keyed hash of the request, never its text. */
export interface RememberedRequest {
  readonly operation: IdempotentOperation;
  readonly requestHash: string;
  readonly sessionId: string;
  readonly generationId: string | null;
}

/** The caller's idempotency keys, scoped to the user; written in the transaction that does what they stand for. */
export interface IdempotencyKeys {
  /** Keyed hash of a request: `request` is JSON whose member order does not depend on the caller. */
  hash(operation: IdempotentOperation, request: unknown): string;
  /**
   * What was done under this key, null for a new one.
   * @throws ServiceError `IDEMPOTENCY_KEY_REUSED` when it stands for another request.
   */
  find(tx: Queryable, userId: string, key: string, requestHash: string): Promise<RememberedRequest | null>;
  remember(tx: Queryable, userId: string, key: string, request: RememberedRequest, now: Date): Promise<void>;
  /** Makes the keys of refused generations new again. */
  forget(tx: Queryable, generationIds: readonly string[]): Promise<void>;
}

export function createIdempotencyKeys({ tables }: Pick<Database, 'tables'>, secret: string): IdempotencyKeys {
  const { idempotencyKeys } = tables;
  return {
    hash: (operation, request) =>
      createHmac('sha256', secret)
        .update(JSON.stringify([operation, request]))
        .digest('base64url'),
    async find(tx, userId, key, requestHash) {
      const [row] = await tx
        .select()
        .from(idempotencyKeys)
        .where(and(eq(idempotencyKeys.userId, userId), eq(idempotencyKeys.key, key)));
      if (row === undefined) return null;
      if (row.requestHash !== requestHash) {
        throw new ServiceError('IDEMPOTENCY_KEY_REUSED', {
          detail: 'This idempotency key was used for another request.',
        });
      }
      return row;
    },
    async remember(tx, userId, key, request, now) {
      await tx.insert(idempotencyKeys).values({ userId, key, ...request, createdAt: now });
    },
    async forget(tx, generationIds) {
      await tx.delete(idempotencyKeys).where(inArray(idempotencyKeys.generationId, [...generationIds]));
    },
  };
}
