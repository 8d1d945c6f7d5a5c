import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Below those that systems give to whoever takes any: nobody comes to one by chance while it is not listened on. */
const [lowest, highest] = [20_000, 32_000];

/** A port of this machine that nobody listens on, for a program that cannot be told to take any. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnFreePort(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** Has a server listen on a port to which it can come back when it has closed. */
export async function listenOnFreePort(server: Server): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, highest);
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      return port;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    }
  }
}
