import { createServer } from 'node:http';
import { initTRPC } from '@trpc/server';
import { createHTTPHandler } from '@trpc/server/adapters/standalone';
import superjson from 'superjson';
import { deserializeInput } from '@chat-service/server/trpc/input-transformer';
import { listSessionsInput, listSessionsOutput } from '@chat-service/shared/session-api';
import { openRawPages } from '../raw-page.ts';
import { tellPort } from '../tell-port.ts';

/*
 * The floor of a list over tRPC: a router of one procedure with the service's schemas and transformer, on tRPC's own
 * adapter for `node:http`, over prepared statements. It takes the SQLite file and the user as arguments, tells its port, and
 * knows nothing of tokens, limits and logs.
 */

const [file = '', userId = ''] = process.argv.slice(2);
const pages = openRawPages(file);
const trpc = initTRPC.create({
  transformer: {
    input: { serialize: (value: unknown) => superjson.serialize(value), deserialize: deserializeInput },
    output: { serialize: (json: unknown) => ({ json }), deserialize: superjson.deserialize },
  },
  isDev: false,
});
const router = trpc.router({
  session: trpc.router({
    list: trpc.procedure
      .input(listSessionsInput.optional())
      .output(listSessionsOutput)
      .query(() => pages.read(userId)),
  }),
});
const server = createServer(createHTTPHandler({ router, basePath: '/trpc/' }));
tellPort(server);
server.listen(0, '127.0.0.1');
