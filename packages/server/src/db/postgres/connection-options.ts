import { readFileSync } from 'node:fs';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { errorCode } from '../statement-error.ts';

/** The TLS modes of libpq. `require` encrypts and checks nothing; the two `verify` modes check the certificate. */
const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
type SslMode = (typeof sslModes)[number];

/** What libpq reads from an address and nothing here needs. */
const ignoredParameters = ['channel_binding', 'gssencmode'];

/** Seconds. */
const defaultConnectTimeout = 10;

export interface ConnectionOptions {
  /** Without the parameters that were read here. */
  readonly url: string;
  /** How to encrypt: each is tried in turn where a server has no TLS. */
  readonly tls: readonly (false | TlsOptions)[];
  /** Seconds. */
  readonly connectTimeout: number;
  /** Settings for the server, in the form of its command line. */
  readonly settings: string;
}

/** Compiling a search of users takes several times as long as running it. */
const defaultSettings = '-c jit=off';
/** Times come in one form, whatever the server's own: in others day and month change places. */
const requiredSettings = '-c TimeZone=UTC -c DateStyle=ISO';

/**
 * Reads from an address what libpq reads from it: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `connect_timeout`,
 * `options`.
 *
 * @throws Error in words for a mode that does not exist or a file that cannot be read.
 */
export function readConnectionOptions(url: string): ConnectionOptions {
  const address = new URL(url);
  const take = (name: string): string | undefined => {
    const value = address.searchParams.get(name);
    address.searchParams.delete(name);
    return value ?? undefined;
  };
  for (const name of ignoredParameters) take(name);
  const connectTimeout = Number(take('connect_timeout'));
  const mode = readSslMode(take('sslmode'));
  const tls = tlsAttempts(mode, { ca: take('sslrootcert'), cert: take('sslcert'), key: take('sslkey') });
  return {
    tls,
    connectTimeout: connectTimeout > 0 ? connectTimeout : defaultConnectTimeout,
    settings: [defaultSettings, take('options'), requiredSettings].filter((part) => part !== undefined).join(' '),
    url: address.href,
  };
}

function readSslMode(text: string | undefined): SslMode | undefined {
  if (text === undefined) return undefined;
  const mode = sslModes.find((known) => known === text);
  if (mode === undefined) throw new Error(`DATABASE_URL: sslmode must be one of ${sslModes.join(', ')}`);
  return mode;
}

interface TlsFiles {
  ca: string | undefined;
  cert: string | undefined;
  key: string | undefined;
}

function tlsAttempts(mode: SslMode | undefined, files: TlsFiles): (false | TlsOptions)[] {
  const checksHost = mode === 'verify-full' || files.ca === 'system';
  const checksCertificate = checksHost || mode === 'verify-ca' || files.ca !== undefined;
  if (mode === 'disable' || (mode === undefined && !checksCertificate)) return [false];
  const tls: TlsOptions = {
    ...readTlsFiles(files),
    rejectUnauthorized: checksCertificate,
    // The other modes trust every host whose certificate the authority has signed.
    ...(checksHost ? {} : { checkServerIdentity: () => undefined }),
  };
  if (checksCertificate || mode === 'require') return [tls];
  return mode === 'allow' ? [false, tls] : [tls, false];
}

function readTlsFiles({ ca, cert, key }: TlsFiles): TlsOptions {
  return {
    // `system` is the trust store that Node uses anyway.
    ...(ca === undefined || ca === 'system' ? {} : { ca: readTlsFile(ca) }),
    ...(cert === undefined ? {} : { cert: readTlsFile(cert) }),
    ...(key === undefined ? {} : { key: readTlsFile(key) }),
  };
}

function readTlsFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error ? errorCode(error) : undefined;
    throw new Error(`DATABASE_URL: the certificate file ${file} cannot be read (${code ?? 'unknown reason'})`, {
      cause: error,
    });
  }
}
