import type { Role } from '@chat-service/shared/objects';

/** Who a verified token speaks for. */
export interface Principal {
  readonly userId: string;
  readonly username: string | null;
  readonly email: string | null;
  readonly role: Role;
  /** As the token says it; whether it is a configured plan is judged where plans are known. */
  readonly plan: string;
  /** `iat` in seconds since the epoch, null where the token has none. */
  readonly issuedAt: number | null;
  /** `exp` in seconds since the epoch. */
  readonly expiresAt: number;
}

/**
 * Verifies a token.
 * @throws ServiceError `UNAUTHORIZED`, or `AUTH_UNAVAILABLE` when no key can be had to judge it.
 */
export type Authenticate = (token: string) => Promise<Principal>;

/** The roles that may look at what belongs to others. */
export const supervisorRoles: readonly Role[] = ['supervisor', 'admin'];

/** Seconds by which clocks may differ: a token counts until `exp` plus this. */
export const clockToleranceSeconds = 30;
