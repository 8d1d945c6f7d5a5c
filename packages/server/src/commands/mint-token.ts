import { SignJWT } from 'jose';
import type { AuthConfig } from '../clients/auth/auth-config.ts';

export interface TokenClaims {
  sub: string;
  role?: string | undefined;
  username?: string | undefined;
  email?: string | undefined;
  plan?: string | undefined;
}

/**
 * A token that this service verifies, signed with the first of its secrets.
 *
 * @param now Seconds since the epoch.
 * @param expiresIn Seconds.
 */
export async function mintToken(
  auth: Extract<AuthConfig, { kind: 'secret' }>,
  { sub, role, username, email, plan }: TokenClaims,
  { now, expiresIn }: { now: number; expiresIn: number },
): Promise<string> {
  const [secret = ''] = auth.secrets;
  const claims = { username, email, [auth.roleClaim]: role, [auth.planClaim]: plan };
  const token = new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(sub)
    .setIssuedAt(now)
    .setExpirationTime(now + expiresIn);
  if (auth.issuer !== undefined) token.setIssuer(auth.issuer);
  if (auth.audience !== undefined) token.setAudience(auth.audience);
  return token.sign(Buffer.from(secret, 'utf8'));
}
