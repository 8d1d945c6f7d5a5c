import { readFileSync } from 'node:fs';
import type { Options } from 'postgres';
import { errorCode } from '../statement-error.ts';

/** The TLS modes of libpq. `require` encrypts and checks nothing; the two `verify` modes check the certificate. */
const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
type SslMode = (typeof sslModes)[number];

/** What libpq reads from an address and a server would refuse as an unknown setting. */
const ignoredParameters = ['channel_binding', 'gssencmode'];

interface ConnectionOptions {
  /** Without the parameters that were read here. */
  readonly url: string;
  readonly options: Pick<Options<Record<string, never>>, 'ssl' | 'connect_timeout'>;
}

/**
 * Reads `sslmode`, `sslrootcert`, `sslcert` and `sslkey` from an address, as libpq does.
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
  const connectTimeout = Number(take('connect_timeout') ?? defaultConnectTimeout);
  const mode = readSslMode(take('sslmode'));
  const files = { ca: take('sslrootcert'), cert: take('sslcert'), key: take('sslkey') };
  return {
    url: address.href,
    options: {
      connect_timeout: Number.isFinite(connectTimeout) ? connectTimeout : defaultConnectTimeout,
      ...tlsOption(mode, files),
    },
  };
}

/** Seconds. */
const defaultConnectTimeout = 10;

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

function tlsOption(mode: SslMode | undefined, files: TlsFiles): Pick<Options<Record<string, never>>, 'ssl'> {
  if (mode === 'disable') return { ssl: false };
  const contents = Object.fromEntries(
    Object.entries<string | undefined>({ ...files }).flatMap(([name, file]) =>
      // `system` is the trust store that Node uses anyway.
      file === undefined || file === 'system' ? [] : [[name, readTlsFile(file)]],
    ),
  );
  const checksHost = mode === 'verify-full' || files.ca === 'system';
  const checksCertificate = checksHost || mode === 'verify-ca' || files.ca !== undefined;
  if (!checksCertificate && Object.keys(contents).length === 0) return mode === undefined ? {} : { ssl: mode };
  return {
    ssl: {
      ...contents,
      rejectUnauthorized: checksCertificate,
      // The other modes trust every host whose certificate the authority has signed.
      ...(checksHost ? {} : { checkServerIdentity: () => undefined }),
    },
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
