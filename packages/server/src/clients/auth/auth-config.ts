import { createPublicKey } from 'node:crypto';
import { readPublicKey } from './public-key.ts';

/** What tokens are verified with: exactly one kind of key. */
export type AuthKeys =
  | {
      readonly kind: 'secret';
      /** Shared secrets for HS256, used as the bytes of their UTF-8 text; several during a rotation. */
      readonly secrets: readonly string[];
    }
  | {
      readonly kind: 'public-key';
      /** PEM of a public key (SPKI) or of a certificate; `\n` written as two characters counts as a line break. */
      readonly pem: string;
    }
  | {
      readonly kind: 'jwks';
      /** Where the Auth Service publishes its keys as a JSON Web Key Set; http or https. */
      readonly url: string;
    };

export type AuthConfig = AuthKeys & {
  /** What `iss` must be; unchecked where absent. */
  readonly issuer?: string | undefined;
  /** What `aud` must be or contain; unchecked where absent. */
  readonly audience?: string | undefined;
  /** Claim that holds the role: its literal name, or a dotted path into nested claims. Usually `defaultRoleClaim`. */
  readonly roleClaim: string;
  /** Claim that holds the plan, named in the same way. Usually `plan`. */
  readonly planClaim: string;
};

/** With this role claim a `roles` array is read too. */
export const defaultRoleClaim = 'role';

/** As many bytes as HS256 hashes to: a shorter secret is the weakest part of the signature. */
const minSecretBytes = 32;

/** `AUTH_JWT_SECRET` as written: a comma list. Empty entries are kept, so that `checkAuthKeys` can name them. */
export function splitSecrets(text: string): string[] {
  return text.split(',').map((entry) => entry.trim());
}

/**
 * What is wrong with the configured keys: one sentence a problem, each naming its variable and none repeating key
 * material. Empty when tokens can be verified with them.
 */
export function checkAuthKeys(keys: AuthKeys): string[] {
  switch (keys.kind) {
    case 'secret':
      return checkSecrets(keys.secrets);
    case 'public-key': {
      const read = readPublicKey(keys.pem);
      return read.ok ? [] : [`AUTH_JWT_PUBLIC_KEY ${read.problem}`];
    }
    case 'jwks':
      return checkJwksUrl(keys.url);
  }
}

function checkSecrets(secrets: readonly string[]): string[] {
  if (secrets.length === 0) return ['AUTH_JWT_SECRET holds no secret'];
  // A JWK has commas of its own: told once, instead of once for each of its pieces.
  if (looksLikeJson(secrets.join(','))) return ['AUTH_JWT_SECRET holds JSON (a JWK?), which is no shared secret'];
  return secrets.flatMap((secret, index) => {
    const name = secrets.length === 1 ? 'AUTH_JWT_SECRET' : `AUTH_JWT_SECRET (entry ${index + 1})`;
    if (secret === '') return [`${name} is empty`];
    if (looksLikeJson(secret)) return [`${name} holds JSON (a JWK?), which is no shared secret`];
    if (looksLikePem(secret)) {
      return [
        `${name} holds a key or certificate, which is no shared secret; a public key goes to AUTH_JWT_PUBLIC_KEY`,
      ];
    }
    const bytes = Buffer.byteLength(secret, 'utf8');
    return bytes < minSecretBytes ? [`${name} has ${bytes} bytes; at least ${minSecretBytes} are needed`] : [];
  });
}

function looksLikeJson(text: string): boolean {
  return /^\s*[{[]\s*["{]/.test(text) || /"kty"\s*:/.test(text);
}

/** PEM, PEM in base64 (`LS0t…` is `---` encoded), an OpenSSH key line, or the bare base64 of a public key. */
function looksLikePem(text: string): boolean {
  if (text.includes('-----BEGIN') || text.startsWith('LS0tLS1CRUdJTi')) return true;
  if (/^(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ /.test(text)) return true;
  try {
    createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' });
    return true;
  } catch {
    return false;
  }
}

function checkJwksUrl(text: string): string[] {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    return ['AUTH_JWKS_URL is not an http or https URL'];
  }
  return url.username === '' && url.password === '' ? [] : ['AUTH_JWKS_URL must not hold a user name or password'];
}
