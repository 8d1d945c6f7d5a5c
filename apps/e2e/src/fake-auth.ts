import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';
import { listenOnFreePort } from './free-port.ts';

export type AuthKeyAlgorithm = 'RS256' | 'ES256' | 'EdDSA';
export type AuthAlgorithm = AuthKeyAlgorithm | 'HS256';

/** Times are seconds from now; negative ones lie in the past. */
export interface TokenOptions {
  sub: string;
  username?: string;
  email?: string;
  role?: string;
  plan?: string;
  /** @default 300; null leaves `exp` out */
  expiresIn?: number | null;
  /** @default 0; null leaves `iat` out */
  issuedIn?: number | null;
  notBefore?: number;
  /** @default the fake's own `issuer`; null leaves it out */
  issuer?: string | null;
  audience?: string | string[];
  /** @default the id of the signing key; null leaves it out. HS256 tokens have none unless one is given. */
  kid?: string | null;
  /** @default ES256 */
  alg?: AuthAlgorithm;
  /** For HS256. @default the fake's own `secret` */
  secret?: string;
  /** Written over all others. */
  claims?: JWTPayload;
}

/**
 * `refused`: nobody listens. `error`: status 500. `garbage`: status 200 and no key set. `slow`: the connection is
 * taken, nothing is answered until the outage ends.
 */
export type Outage = 'refused' | 'error' | 'garbage' | 'slow';

/** The Auth Service as the product sees it: real HTTP on a port of its own, real keys. */
export interface FakeAuth extends AsyncDisposable {
  readonly url: string;
  readonly jwksUrl: string;
  readonly issuer: string;
  /** For `AUTH_JWT_SECRET`. */
  readonly secret: string;
  /** How often the key set was asked for since the start, outages included (but for `refused`). */
  jwksFetches(): number;
  /** Resolves when the key set is asked for next. */
  nextJwksFetch(): Promise<void>;
  /** PEM of the current key, for `AUTH_JWT_PUBLIC_KEY`. */
  publicKey(alg: AuthKeyAlgorithm): string;
  token(options: TokenOptions): Promise<string>;
  /** Signs with new keys from now on. The old ones stay published with `keepOld`. */
  rotate(options?: { keepOld?: boolean }): Promise<void>;
  startOutage(outage: Outage): Promise<void>;
  endOutage(): Promise<void>;
}

interface KeyPair {
  readonly alg: AuthKeyAlgorithm;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
  readonly pem: string;
}

type KeyRing = Record<AuthKeyAlgorithm, KeyPair>;

export async function startFakeAuth(): Promise<FakeAuth> {
  const secret = randomBytes(32).toString('base64url');
  let ring = await createKeyRing();
  let published: JWK[] = jwksOf(ring);
  let outage: Outage | undefined;
  let fetches = 0;
  const unanswered = new Set<ServerResponse>();

  const answer = (response: ServerResponse) => {
    if (outage === 'error') response.writeHead(500).end('the fake is out of order');
    else if (outage === 'garbage') response.writeHead(200, { 'content-type': 'text/html' }).end('<html>sign in</html>');
    else if (outage === 'slow') unanswered.add(response);
    else {
      response.writeHead(200, { 'content-type': 'application/jwk-set+json' }).end(JSON.stringify({ keys: published }));
    }
  };
  const server = createServer((request, response) => {
    if (request.url !== jwksPath) return void response.writeHead(404).end();
    fetches += 1;
    answer(response);
    server.emit('jwks-fetch');
  });

  // Whoever keeps a connection must not find it closed just now.
  server.keepAliveTimeout = 600_000;

  const close = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    unanswered.clear();
    await closed;
  };

  const port = await listenOnFreePort(server);
  const url = `http://127.0.0.1:${port}`;

  const endOutage = async () => {
    outage = undefined;
    if (!server.listening) await once(server.listen(port, '127.0.0.1'), 'listening');
    for (const response of unanswered) if (!response.destroyed) answer(response);
    unanswered.clear();
  };

  return {
    url,
    jwksUrl: url + jwksPath,
    issuer: url,
    secret,
    jwksFetches: () => fetches,
    nextJwksFetch: async () => {
      await once(server, 'jwks-fetch');
    },
    publicKey: (alg) => ring[alg].pem,
    token: (options) => signToken(options, ring, { secret, issuer: url }),
    async rotate({ keepOld = false } = {}) {
      ring = await createKeyRing();
      published = [...(keepOld ? published : []), ...jwksOf(ring)];
    },
    async startOutage(kind) {
      await endOutage();
      outage = kind;
      if (kind === 'refused') await close();
    },
    endOutage,
    [Symbol.asyncDispose]: close,
  };
}

const jwksPath = '/.well-known/jwks.json';

async function createKeyRing(): Promise<KeyRing> {
  const [RS256, ES256, EdDSA] = await Promise.all([
    createKeyPair('RS256'),
    createKeyPair('ES256'),
    createKeyPair('EdDSA'),
  ]);
  return { RS256, ES256, EdDSA };
}

async function createKeyPair(alg: AuthKeyAlgorithm): Promise<KeyPair> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const kid = randomUUID();
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' };
  return { alg, kid, privateKey, jwk, pem: await exportSPKI(publicKey) };
}

function jwksOf(ring: KeyRing): JWK[] {
  return [ring.RS256.jwk, ring.ES256.jwk, ring.EdDSA.jwk];
}

function signToken(options: TokenOptions, ring: KeyRing, own: { secret: string; issuer: string }): Promise<string> {
  const { sub, username, email, role, plan, notBefore, audience, alg = 'ES256' } = options;
  const { expiresIn = 300, issuedIn = 0, issuer = own.issuer, secret = own.secret } = options;
  const now = Math.floor(Date.now() / 1_000);
  const claims: JWTPayload = {
    jti: randomUUID(),
    sub,
    ...(username !== undefined && { username }),
    ...(email !== undefined && { email }),
    ...(role !== undefined && { role }),
    ...(plan !== undefined && { plan }),
    ...(expiresIn !== null && { exp: now + expiresIn }),
    ...(issuedIn !== null && { iat: now + issuedIn }),
    ...(notBefore !== undefined && { nbf: now + notBefore }),
    ...(issuer !== null && { iss: issuer }),
    ...(audience !== undefined && { aud: audience }),
    ...options.claims,
  };
  const pair = alg === 'HS256' ? undefined : ring[alg];
  const kid = options.kid === undefined ? pair?.kid : options.kid;
  return new SignJWT(claims)
    .setProtectedHeader({ alg, typ: 'JWT', ...(typeof kid === 'string' && { kid }) })
    .sign(pair?.privateKey ?? new TextEncoder().encode(secret));
}
