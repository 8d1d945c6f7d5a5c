import type { Database } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';
import { auditUnavailable, type AuditedAct, type AuditStore } from './audit-store.ts';

/**
 * Writes down what is about to be done, committed when this resolves. What cannot be written down is not to be done.
 * @throws ServiceError `UNAVAILABLE`
 */
export type RecordAudit = (act: Omit<AuditedAct, 'connectionId'>) => Promise<void>;

export interface RecordAuditDependencies {
  readonly database: Database;
  readonly audit: Pick<AuditStore, 'append'>;
}

export function createRecordAudit({ database, audit }: RecordAuditDependencies): RecordAudit {
  return async function recordAudit(act) {
    try {
      await audit.append(database.query, { ...act, connectionId: null });
    } catch (error) {
      throw new ServiceError('UNAVAILABLE', { detail: auditUnavailable, cause: error });
    }
  };
}
