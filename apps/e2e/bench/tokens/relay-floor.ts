import { request } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';
import { tellPort } from '../tell-port.ts';

/*
 * The floor of a streamed token: a bare `ws` server that, asked with { url, prompt }, calls the provider there, parses each
 * event of its stream and sends the text on as JSON of its own. No users, no log, no memory of anything.
 */

interface Order {
  readonly url: string;
  readonly prompt: string;
}

interface Completion {
  readonly choices: readonly { readonly delta?: { readonly content?: string } }[];
}

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
tellPort(server);
server.on('connection', (socket) => {
  socket.on('message', (data: Buffer) => relay(socket, JSON.parse(data.toString()) as Order));
});

function relay(socket: WebSocket, { url, prompt }: Order): void {
  const call = request(url, { method: 'POST', headers: { 'content-type': 'application/json' } }, (response) => {
    let left = '';
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      const lines = (left + text).split('\n');
      left = lines.pop() ?? '';
      for (const line of lines) if (line.startsWith('data: ')) tell(socket, line.slice('data: '.length));
    });
  });
  call.end(JSON.stringify({ model: 'bench', stream: true, messages: [{ role: 'user', content: prompt }] }));
}

function tell(socket: WebSocket, data: string): void {
  if (data === '[DONE]') return socket.send(JSON.stringify({ type: 'done' }));
  const text = (JSON.parse(data) as Completion).choices[0]?.delta?.content;
  if (text !== undefined) socket.send(JSON.stringify({ type: 'chunk', text }));
}
