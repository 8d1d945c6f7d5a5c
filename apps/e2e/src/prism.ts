import { join } from 'node:path';
import { vi } from 'vitest';
import { patience } from './call-for.ts';
import { freePort } from './free-port.ts';
import { startShell } from './shell.ts';

/** Whether REST requests of this run go through Prism: those of the project `e2e-prism` do. */
export const isThroughPrism = process.env['REST_THROUGH'] === 'prism';

export interface Prism extends AsyncDisposable {
  readonly url: string;
}

/**
 * Stoplight's Prism in front of a server: it holds every request and every answer against the OpenAPI document of that
 * server, and says in the header `sl-violations` what does not fit. With `errors` it refuses, in the place of the answer.
 */
export async function startPrism(target: string, { errors = false }: { errors?: boolean } = {}): Promise<Prism> {
  await using starting = new AsyncDisposableStack();
  const port = await freePort();
  // What it would tell of each request costs more than the request, and only then would it tell its port.
  const options = [`--port=${port}`, '--cors=false', '--verboseLevel=fatal', ...(errors ? ['--errors'] : [])];
  const prism = starting.use(
    startShell(`exec node_modules/.bin/prism proxy ${target}/api/openapi.json ${target} ${options.join(' ')}`, {
      cwd: join(import.meta.dirname, '..'),
      env: process.env,
    }),
  );
  const url = `http://127.0.0.1:${port}`;
  await Promise.race([
    vi.waitFor(async () => (await fetch(`${url}/api/health/live`)).text(), patience),
    prism.result.then(({ stdout, stderr }) => {
      throw new Error(`Prism has not started: ${stdout}${stderr}`);
    }),
  ]);
  const opened = starting.move();
  return { url, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

interface SentRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string | Uint8Array | undefined;
}

/**
 * Whether Prism hands a request on as it was sent. HEAD it answers 500 by itself, and it ends at a path whose escapes are
 * broken. A body it reads, and writes anew: bytes and what is no JSON do not survive that, nor does `null`.
 */
export function canPassPrism({ method, path, body }: SentRequest): boolean {
  if (method === 'HEAD' || /%(?![0-9a-f]{2})/iu.test(path)) return false;
  if (body === undefined || body === '') return true;
  try {
    return typeof body === 'string' && body !== 'null' && JSON.stringify(JSON.parse(body)) === body;
  } catch {
    return false;
  }
}

interface Violation {
  readonly location: readonly string[];
  readonly message: string;
}

/**
 * Holds an answer against what Prism said of it, where it came through Prism. An answer has to be as described, always.
 * A request need not be, and is refused then: what the document does not allow is nothing that the service takes.
 * @param target such as `GET /api/models`, for the error
 */
export function expectAsDescribed(target: string, { status, headers }: Response): void {
  const told = headers.get('sl-violations');
  if (told === null) return;
  const violations = told.startsWith('[') ? (JSON.parse(told) as Violation[]) : null;
  const wasRefused = status >= 400 && status < 500;
  if (wasRefused && violations?.every(({ location }) => location[0] === 'request') === true) return;
  throw new Error(`${target.slice(0, 200)} was answered with ${status}, and is not as described: ${told}`);
}
