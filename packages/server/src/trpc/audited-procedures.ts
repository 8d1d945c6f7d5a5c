import type { Role } from '@chat-service/shared/objects';
import { z } from 'zod';
import { supervisorRoles } from '../clients/auth/principal.ts';
import type { AuditAction } from '../db/column-types.ts';
import type { Tables } from '../db/database.ts';
import { ServiceError } from '../platform/service-error.ts';
import { userProcedure } from './procedures.ts';

/** Who looks at what, and why. */
export type Look = Omit<Tables['auditLog']['$inferSelect'], 'id' | 'at' | 'connectionId'>;

export interface AuditedProceduresOptions {
  /** Resolves once the look is committed; what it throws refuses the look. */
  readonly record: (look: Look) => Promise<void>;
  /** The role that a user has by the newest of their tokens; undefined for nobody known. */
  readonly findRole: (userId: string) => Promise<Role | undefined>;
  /** Whether a look without a reason is refused. */
  readonly requireReason: boolean;
}

/** Whom and what a call is about; null where that is nobody in particular. */
export interface LookedAt {
  readonly subjectId?: string | null;
  readonly sessionId?: string | null;
}

type InputSchema = z.ZodObject | z.ZodOptional<z.ZodObject>;

export interface AuditedDeclaration<Input extends InputSchema> {
  /** Beginning and end of an observation are not declared: see `observing`. */
  readonly action: Exclude<AuditAction, 'observe.attach' | 'observe.detach'>;
  readonly input: Input;
  /**
   * Ids as they are asked for, whether or not there is such a thing: the attempt is on record.
   * @default nobody in particular
   */
  readonly about?: About<Input>;
}

type About<Input extends InputSchema> = (input: z.output<Input>) => LookedAt | Promise<LookedAt>;

/**
 * The only way to procedures of supervisors: whichever is built of these is on record, committed before its operation
 * is called. In order: token, rate, role, schema, reason, record.
 */
export function createAuditedProcedures({ record, findRole, requireReason }: AuditedProceduresOptions) {
  /** Before the input is looked at: whoever may not ask is told the same, whatever they ask for. */
  function requiringRole(roles: readonly Role[]) {
    return userProcedure.use(async ({ ctx, next }) => {
      const { role, userId } = ctx.principal;
      if (!roles.includes(role)) {
        throw new ServiceError('FORBIDDEN', { detail: `This needs the role ${roles.join(' or ')}.` });
      }
      // A token outlives the role that it tells of.
      const current = await findRole(userId);
      if (current === undefined || !roles.includes(current)) {
        throw new ServiceError('FORBIDDEN', { detail: 'The role has ended since this token was issued.' });
      }
      return next();
    });
  }

  const supervisorProcedure = requiringRole(supervisorRoles);
  const adminProcedure = requiringRole(['admin']);

  /** @param about Null where the operation writes the record itself. */
  function audited<Input extends InputSchema>(
    procedure: typeof supervisorProcedure,
    action: AuditAction,
    schema: Input,
    about: About<Input> | null,
  ) {
    const takesReason = 'reason' in fieldsOf(schema);
    return procedure
      .meta({ summary: '', audit: action })
      .input(schema)
      .use(async ({ ctx, input, next }) => {
        const given = input as z.output<Input>;
        const reason = reasonOf(given);
        if (requireReason && takesReason && reason === null) {
          const errors = [{ path: 'reason', message: 'is required here' }];
          throw new ServiceError('BAD_REQUEST', { detail: 'A reason is required.', errors });
        }
        if (about === null) return next();
        const { subjectId = null, sessionId = null } = await about(given);
        const { userId: actorId, role: actorRole } = ctx.principal;
        const { requestId, clientAddress = null } = ctx;
        await record({ actorId, actorRole, action, subjectId, sessionId, clientAddress, requestId, reason });
        return next();
      });
  }

  return {
    supervised: <Input extends InputSchema>({ action, input, about = () => ({}) }: AuditedDeclaration<Input>) =>
      audited(supervisorProcedure, action, input, about),
    administered: <Input extends InputSchema>({ action, input, about = () => ({}) }: AuditedDeclaration<Input>) =>
      audited(adminProcedure, action, input, about),
    /** For the one procedure that observes: it writes its attach itself, in one transaction with the observation. */
    observing: <Input extends InputSchema>(input: Input) => audited(supervisorProcedure, 'observe.attach', input, null),
  };
}

function fieldsOf(schema: InputSchema): object {
  return schema instanceof z.ZodOptional ? schema.unwrap().shape : schema.shape;
}

/** Spaces, controls, and what is drawn as nothing. */
const unseen = /^[\s\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]*$/u;

/** What was given for a reason; null for none, and for one in which there is nothing to see. */
export function reasonOf(input: unknown): string | null {
  const reason: unknown = typeof input === 'object' && input !== null && 'reason' in input ? input.reason : null;
  return typeof reason === 'string' && !unseen.test(reason) ? reason : null;
}
