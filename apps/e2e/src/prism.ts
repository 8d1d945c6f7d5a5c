import { join } from 'node:path';
import { startShell } from './shell.ts';

/** Whether the REST requests of this run go through Prism. */
export const isValidated = process.env['REST_THROUGH'] === 'prism';

export interface Prism extends AsyncDisposable {
  readonly url: string;
}

/**
 * Stoplight's Prism in front of a server: holds every request and every answer against the OpenAPI document of that
 * server, and says in the header `sl-violations` what does not fit.
 * @param errors answers with a problem of its own instead. @default false
 */
export async function startPrism(target: string, { errors = false }: { errors?: boolean } = {}): Promise<Prism> {
  const options = ['--port 0', '--cors=false', ...(errors ? ['--errors'] : [])].join(' ');
  const prism = startShell(`exec node_modules/.bin/prism proxy ${target}/api/openapi.json ${target} ${options}`, {
    cwd: join(import.meta.dirname, '..'),
    env: process.env,
  });
  try {
    const said = await prism.says('Prism is listening on');
    const url = /listening on (http:\/\/[\d.:]+)/u.exec(said)?.[1] ?? '';
    return { url, [Symbol.asyncDispose]: () => prism[Symbol.asyncDispose]() };
  } catch (error) {
    await prism[Symbol.asyncDispose]();
    throw error;
  }
}
