import { createServer } from 'node:http';
import { openRawPages } from '../raw-page.ts';
import { tellPort } from '../tell-port.ts';

/*
 * The floor of a list: a bare `node:http` server that answers every request with the first page of one user, read anew by
 * prepared statements. It takes the SQLite file and the user as arguments and tells its port.
 */

const [file = '', userId = ''] = process.argv.slice(2);
const pages = openRawPages(file);
const server = createServer((_, response) => {
  const body = JSON.stringify(pages.read(userId));
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  });
  response.end(body);
});
tellPort(server);
server.listen(0, '127.0.0.1');
