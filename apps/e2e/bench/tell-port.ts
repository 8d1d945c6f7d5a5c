interface ListeningServer {
  address(): unknown;
  once(event: 'listening', listener: () => void): unknown;
}

/** Tells the parent process the port of a floor's server, once it listens. */
export function tellPort(server: ListeningServer): void {
  server.once('listening', () => {
    const address = server.address();
    if (typeof address === 'object' && address !== null && 'port' in address) process.send?.({ port: address.port });
  });
}
