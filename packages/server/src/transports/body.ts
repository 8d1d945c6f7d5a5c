import type { IncomingMessage } from 'node:http';
import { ServiceError } from '../platform/service-error.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a body of at most `maxBytes` as text, counting what really arrives: a length need not be given, or true.
 * @throws ServiceError `PAYLOAD_TOO_LARGE`; `BAD_REQUEST` for what is no UTF-8 or ends early.
 */
export function readText(incoming: IncomingMessage, maxBytes: number): Promise<string> {
  const tooLarge = () =>
    new ServiceError('PAYLOAD_TOO_LARGE', { detail: `A body may have at most ${maxBytes} bytes.` });
  return new Promise((resolve, reject) => {
    if (Number(incoming.headers['content-length'] ?? 0) > maxBytes) return void reject(tooLarge());
    const chunks: Buffer[] = [];
    let size = 0;
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) return void chunks.push(chunk);
      stop();
      incoming.pause();
      reject(tooLarge());
    };
    const onEnd = () => {
      stop();
      try {
        resolve(utf8.decode(Buffer.concat(chunks)));
      } catch (cause) {
        reject(new ServiceError('BAD_REQUEST', { detail: 'The body is not UTF-8.', cause }));
      }
    };
    const onClose = () => {
      stop();
      reject(new ServiceError('BAD_REQUEST', { detail: 'The body ended early.' }));
    };
    const stop = () => {
      incoming.off('data', onData);
      incoming.off('end', onEnd);
      incoming.off('close', onClose);
      incoming.off('error', onClose);
    };
    incoming.on('data', onData);
    incoming.once('end', onEnd);
    incoming.once('close', onClose);
    incoming.once('error', onClose);
  });
}
