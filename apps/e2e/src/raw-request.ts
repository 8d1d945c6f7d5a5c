import { connect } from 'node:net';

export interface RawResponse {
  readonly status: number;
  readonly body: string;
  /** Of the head, after the first. */
  readonly lines: readonly string[];
  header(name: string): string | undefined;
}

/**
 * Writes bytes as they are, and reads what is answered until the server closes; null where it closes without a word.
 * With `leaveStreams` the connection is closed here once an event stream has begun.
 */
export async function tryRaw(
  port: number,
  text: string | Uint8Array,
  { leaveStreams = false }: { leaveStreams?: boolean } = {},
): Promise<RawResponse | null> {
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let read = '';
    socket.setEncoding('utf8');
    socket.on('data', (data: string) => {
      read += data;
      if (leaveStreams && /^content-type: text\/event-stream/imu.test(read)) socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      ['ECONNRESET', 'EPIPE'].includes(error.code ?? '') ? resolve(read) : reject(error),
    );
    socket.on('close', () => resolve(read));
    socket.write(text);
  });
  const [head = '', ...rest] = answer.split('\r\n\r\n');
  const [line = '', ...headers] = head.split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})/u.exec(line)?.[1] ?? 0);
  if (status === 0) return null;
  return {
    status,
    lines: headers,
    body: rest.join('\r\n\r\n'),
    header: (name) =>
      headers
        .find((header) => header.toLowerCase().startsWith(`${name.toLowerCase()}:`))
        ?.slice(name.length + 1)
        .trim(),
  };
}

/** The same, of a request that has to be answered. */
export async function sendRaw(port: number, text: string | Uint8Array): Promise<RawResponse> {
  const response = await tryRaw(port, text);
  if (response === null) throw new Error('the server has closed the connection without an answer');
  return response;
}
