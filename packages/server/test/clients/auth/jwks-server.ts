import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { JWK } from 'jose';

type Answer = (response: ServerResponse) => void;

/** A real HTTP server that publishes keys and counts how often it was asked. */
export interface JwksServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: () => number;
  publish(...keys: JWK[]): void;
  /** Every further request is answered by `answer`, until the next `publish`. */
  answerWith(answer: Answer): void;
  /** Resolves at the next request. */
  nextRequest(): Promise<void>;
}

export async function startJwksServer(...keys: JWK[]): Promise<JwksServer> {
  let answer = publishing(keys);
  let requests = 0;
  const server = createServer((_, response) => {
    requests += 1;
    answer(response);
  });
  // Whoever keeps a connection must not find it closed just now.
  server.keepAliveTimeout = 600_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}/keys`,
    requests: () => requests,
    publish: (...next) => {
      answer = publishing(next);
    },
    answerWith: (next) => {
      answer = next;
    },
    nextRequest: async () => {
      await once(server, 'request');
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function publishing(keys: readonly JWK[]): Answer {
  const body = JSON.stringify({ keys });
  return (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(body);
}
