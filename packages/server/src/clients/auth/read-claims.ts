import type { JWTPayload } from 'jose';
import { roleSchema, type Role } from '@chat-service/shared/objects';
import { codePointLength, isStorableText } from '@chat-service/shared/text';
import { defaultRoleClaim, type AuthConfig } from './auth-config.ts';
import type { Principal } from './principal.ts';

/** In code points. An address has at most 320; a longer claim counts as absent, as a cut one would be another's. */
const maxNameLength = 320;
/** Of `sub`, in code points. */
export const maxUserIdLength = 255;
const maxPlanLength = 255;
/** The last second that a JavaScript date can hold: claims beyond it are no times. */
const maxSeconds = 8_640_000_000_000;

/** Strongest last. */
const rolesByStrength: readonly Role[] = ['enduser', 'supervisor', 'admin'];

/** Who verified claims speak for, or undefined where `sub` or `exp` is none that the service can work with. */
export function readClaims(
  claims: JWTPayload,
  { roleClaim, planClaim }: Pick<AuthConfig, 'roleClaim' | 'planClaim'>,
): Principal | undefined {
  const userId = boundedString(claims.sub, maxUserIdLength);
  const expiresAt = seconds(claims.exp);
  if (userId === null || expiresAt === null) return undefined;
  const list: unknown = roleClaim === defaultRoleClaim ? claims['roles'] : undefined;
  const roles: unknown[] = [claimAt(claims, roleClaim), Array.isArray(list) ? list : []].flat();
  return Object.freeze({
    userId,
    username: boundedString(claims['username'], maxNameLength),
    email: boundedString(claims['email'], maxNameLength),
    role: strongestOf(roles),
    plan: boundedString(claimAt(claims, planClaim), maxPlanLength) ?? 'free',
    issuedAt: seconds(claims.iat),
    expiresAt,
  });
}

/** A claim by its literal name (`https://example.com/role`) or else by dotted path (`realm_access.roles`). */
function claimAt(claims: JWTPayload, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const key of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function strongestOf(claimed: readonly unknown[]): Role {
  const known = claimed.flatMap((value) => roleSchema.safeParse(value).data ?? []);
  return rolesByStrength.findLast((role) => known.includes(role)) ?? 'enduser';
}

function boundedString(value: unknown, maxLength: number): string | null {
  if (typeof value !== 'string' || value === '' || value.length > maxLength * 2) return null;
  return isStorableText(value) && codePointLength(value) <= maxLength ? value : null;
}

function seconds(value: unknown): number | null {
  return typeof value === 'number' && Math.abs(value) <= maxSeconds ? value : null;
}
