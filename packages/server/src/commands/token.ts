import { systemClock } from '../platform/clock.ts';
import { resolveAuth } from './auth-secret.ts';
import { complain, loadCommandConfiguration } from './configuration.ts';
import { mintToken, type TokenClaims } from './mint-token.ts';

export interface TokenOptions extends TokenClaims {
  /** Seconds. */
  expiresIn: number;
}

/** Prints a token, and nothing else, on standard output. Resolves to the exit code. */
export async function printToken({ expiresIn, ...claims }: TokenOptions): Promise<0 | 1> {
  const config = loadCommandConfiguration();
  if (config === null) return 1;
  if (claims.sub.trim() === '') {
    complain('--sub must not be empty');
    return 1;
  }
  try {
    const auth = await resolveAuth(config.auth);
    if (auth.kind !== 'secret') {
      const variable = auth.kind === 'jwks' ? 'AUTH_JWKS_URL' : 'AUTH_JWT_PUBLIC_KEY';
      complain(
        `tokens are verified with ${variable} here: only the Auth Service, which has the private key, can mint one`,
      );
      return 1;
    }
    const now = Math.floor(systemClock.now() / 1000);
    process.stdout.write(`${await mintToken(auth, claims, { now, expiresIn })}\n`);
    return 0;
  } catch (error) {
    complain(error instanceof Error ? error.message : 'the token could not be minted');
    return 1;
  }
}
