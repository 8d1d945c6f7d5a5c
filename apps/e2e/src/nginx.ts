import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { patience } from './call-for.ts';
import { freePort } from './free-port.ts';
import { startShell } from './shell.ts';

/** Whether this machine has one. */
export const hasNginx = spawnSync('nginx', ['-v'], { stdio: 'ignore' }).status === 0;

export interface Nginx extends AsyncDisposable {
  readonly url: string;
}

/** A proxy in front of a server, as a line of `proxy_pass` makes one: it buffers, and speaks HTTP/1.0 to the server. */
export async function startNginx(
  target: string,
  { readTimeoutSeconds }: { readTimeoutSeconds: number },
): Promise<Nginx> {
  await using starting = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'chat-service-nginx-'));
  starting.defer(() => rmSync(directory, { recursive: true, force: true }));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off; master_process off; pid nginx.pid; error_log stderr;
     events { worker_connections 64; }
     http {
       access_log off; gzip on;
       ${temporary.map((name) => `${name}_temp_path ${name};`).join(' ')}
       server {
         listen 127.0.0.1:${port};
         location / { proxy_pass ${target}; proxy_read_timeout ${readTimeoutSeconds}s; }
       }
     }`,
  );
  const nginx = starting.use(
    startShell(`exec nginx -p ${directory}/ -c nginx.conf`, { cwd: directory, env: process.env }),
  );
  const url = `http://127.0.0.1:${port}`;
  await Promise.race([
    vi.waitFor(async () => (await fetch(`${url}/api/health/live`)).text(), patience),
    nginx.result.then(({ stderr }) => {
      throw new Error(`nginx has not started: ${stderr}`);
    }),
  ]);
  const opened = starting.move();
  return { url, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
