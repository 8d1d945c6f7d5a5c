import { WebSocketServer, type WebSocket } from 'ws';
import { tellPort } from '../tell-port.ts';

/*
 * The floor of observing: a bare `ws` server that sends one buffer to everybody, at the pace at which it is told to. It
 * tells its port, takes { broadcast: { bytes, times, paceMs } }, and knows nothing of sessions, readers or logs.
 */

interface Order {
  readonly bytes: number;
  readonly times: number;
  readonly paceMs: number;
}

const clients = new Set<WebSocket>();
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
tellPort(server);
server.on('connection', (socket) => {
  clients.add(socket);
  socket.once('close', () => clients.delete(socket));
});

process.on('message', (message: { broadcast?: Order } | 'cpu') => {
  if (typeof message !== 'object' || message.broadcast === undefined) return;
  const { bytes, times, paceMs } = message.broadcast;
  const data = Buffer.alloc(bytes, 'x');
  let left = times;
  const next = () => {
    left -= 1;
    for (const socket of clients) socket.send(data, { binary: false });
    if (left > 0) setTimeout(next, paceMs);
  };
  next();
});
