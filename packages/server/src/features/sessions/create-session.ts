import type { CreateSessionInput, CreateSessionOutput } from '@chat-service/shared/session-api';
import type { AccountHolder } from '../../clients/accounting/accounting.ts';
import type { Database, Queryable } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { NewId } from '../../platform/ids.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { AdmitSession } from '../credits/admit-session.ts';
import { automaticTitle } from '../generations/automatic-title.ts';
import type { IdempotencyKeys } from '../idempotency/idempotency-keys.ts';
import type { Replayable } from '../idempotency/replayable.ts';
import type { RequireModel } from './require-model.ts';
import { showSession, type SessionRow, type ShowSessions } from './session-row.ts';
import type { SessionsStore } from './sessions-store.ts';

/**
 * Opens a session. A repeat under the same idempotency key answers with the session as it is now.
 * @throws ServiceError `BAD_REQUEST` for an unknown model, `IDEMPOTENCY_KEY_REUSED`; `NOT_FOUND` for the repeat of one
 * that was deleted since; `QUOTA_EXCEEDED`, `INSUFFICIENT_CREDITS`, `ACCOUNTING_UNAVAILABLE`
 */
export type CreateSession = (request: CreateSessionInput & AccountHolder) => Promise<Replayable<CreateSessionOutput>>;

export interface CreateSessionDependencies {
  readonly database: Database;
  readonly store: SessionsStore;
  readonly keys: IdempotencyKeys;
  readonly requireModel: RequireModel;
  readonly admitSession: AdmitSession;
  readonly showSessions: ShowSessions;
  readonly clock: Clock;
  readonly newId: NewId;
}

const defaultSource = 'api';

export function createCreateSession(deps: CreateSessionDependencies): CreateSession {
  const { database, store, keys, requireModel, admitSession, showSessions, clock, newId } = deps;

  /** What the key has made before; null where there is nothing. */
  async function findMade(tx: Queryable, userId: string, key: string | undefined, requestHash: string) {
    const known = key === undefined ? null : await keys.find(tx, userId, key, requestHash);
    if (known === null) return null;
    const row = await store.find(tx, userId, known.sessionId);
    if (row === null) throw new ServiceError('NOT_FOUND');
    return { row, replayed: true };
  }

  return async function createSession({ userId, plan, userToken, idempotencyKey, ...request }) {
    requireModel(request.modelId);
    const requestHash = keys.hash('session.create', fingerprint(request));
    const id = newId();
    const holder = { userId, plan, userToken, sessionId: id };
    // A repeat is decided before credit is asked for.
    const known = await findMade(database.query, userId, idempotencyKey, requestHash);
    if (known === null) await admitSession.check(holder);
    const { row, replayed } = await database.transaction(
      async (tx): Promise<{ row: SessionRow; replayed: boolean }> => {
        await store.lockAccount(tx, userId);
        const made = await findMade(tx, userId, idempotencyKey, requestHash);
        if (made !== null) return made;
        await admitSession.count(tx, holder);
        const now = new Date(clock.now());
        const { title = null, initialMessage, temporary = false } = request;
        const stored = await store.insert(tx, {
          id,
          userId,
          title: title ?? (initialMessage === undefined ? null : automaticTitle(initialMessage)),
          titleIsAutomatic: title === null,
          modelId: request.modelId ?? null,
          source: request.source ?? defaultSource,
          systemPrompt: request.systemPrompt ?? null,
          parameters: request.parameters ?? {},
          metadata: request.metadata ?? {},
          temporary,
          messageCount: initialMessage === undefined ? 0 : 1,
          nextSequence: initialMessage === undefined ? 1 : 2,
          lastMessageAt: initialMessage === undefined ? null : now,
          sortAt: now,
          createdAt: now,
          updatedAt: now,
        });
        if (initialMessage !== undefined) {
          await store.insertFirstMessage(tx, {
            id: newId(),
            sessionId: id,
            sequence: 1,
            role: 'user',
            content: initialMessage,
            status: 'complete',
            createdAt: now,
            updatedAt: now,
          });
        }
        if (!temporary) await store.countListed(tx, userId, 1);
        if (idempotencyKey !== undefined) {
          const remembered = { operation: 'session.create', requestHash, sessionId: id, generationId: null } as const;
          await keys.remember(tx, userId, idempotencyKey, remembered, now);
        }
        return { row: stored, replayed: false };
      },
    );
    return { output: { sessionId: row.id, session: await showSession(showSessions, database.query, row) }, replayed };
  };
}

/** What the request asks for, in an order that does not depend on the caller. */
function fingerprint(request: Omit<CreateSessionInput, 'idempotencyKey'>): unknown {
  const { title, initialMessage, modelId, source, systemPrompt, parameters, metadata, temporary } = request;
  const { temperature, topP, maxTokens } = parameters ?? {};
  const pairs = Object.entries(metadata ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [
    [title, initialMessage, modelId, source, systemPrompt, temporary].map((value) => value ?? null),
    [temperature, topP, maxTokens].map((value) => value ?? null),
    pairs,
  ];
}
