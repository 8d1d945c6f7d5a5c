import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';

/** A port of 127.0.0.1 on which nobody listens, nor can be given it to listen on: it is one end of a connection. */
export async function holdClosedPort(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
  const { localPort: port } = socket;
  if (port === undefined) throw new Error('not connected');
  return {
    port,
    async [Symbol.asyncDispose]() {
      socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
