import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectAsDescribed, startPrism, type Prism } from '../src/prism.ts';

const document = readFileSync(join(import.meta.dirname, '../../../docs/openapi.json'));
const json = 'application/json';
const problem = 'application/problem+json';
const version = { version: '1.2.3', commit: null, apiVersion: 1 };
const refusal = { type: 'x', title: 'x', status: 400, detail: 'x', code: 'BAD_REQUEST', requestId: 'x' };
const emptyList = {
  sessions: [],
  pagination: { page: 1, limit: 20, total: 0, totalPages: 0, hasMore: false, nextCursor: null },
};

interface Given {
  readonly status?: number;
  readonly type?: string;
  readonly body: unknown;
}

/** What the specs of the project `e2e-prism` rely on: that a silent Prism is one that has found nothing. */
describe('an answer through Prism', () => {
  /** What the server in the place of ours answers to everything but the question for its document. */
  let given: Given;
  const server = createServer((request, response) => {
    const isDocument = request.url === '/api/openapi.json';
    const { status = 200, type = json, body } = given;
    response.writeHead(isDocument ? 200 : status, { 'content-type': isDocument ? json : type });
    response.end(isDocument ? document : JSON.stringify(body));
  });
  let prism: Prism;
  beforeAll(async () => {
    given = { body: {} };
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    prism = await startPrism(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
  });
  afterAll(async () => {
    await prism[Symbol.asyncDispose]();
    server.closeAllConnections();
    server.close();
  });

  async function judge(target: string, answer: Given, headers: Record<string, string> = { authorization: 'Bearer x' }) {
    given = answer;
    const [method = '', path = ''] = target.split(' ');
    const response = await fetch(`${prism.url}${path}`, { method, headers });
    expect(response.status).toBe(answer.status ?? 200);
    await response.text();
    return () => expectAsDescribed(target, response);
  }

  it.each<[string, Given]>([
    ['GET /api/version', { body: version }],
    ['GET /api/version', { body: { ...version, added: { later: true } } }],
    ['GET /api/chat/sessions', { body: emptyList }],
    ['GET /api/chat/sessions?limit=0', { status: 400, type: problem, body: refusal }],
    ['GET /api/nothing', { status: 404, type: problem, body: refusal }],
  ])('as described passes: %s with %j', async (target, answer) => {
    expect(await judge(target, answer)).not.toThrow();
  });

  it.each<[string, string, Given]>([
    ['a member is missing', 'GET /api/version', { body: { version: '1.2.3' } }],
    ['a member has another type', 'GET /api/version', { body: { ...version, apiVersion: '1' } }],
    ['a member deep down is wrong', 'GET /api/chat/sessions', { body: { ...emptyList, sessions: [{ id: 7 }] } }],
    ['its media type is another', 'GET /api/version', { type: 'text/plain', body: version }],
    ['a refusal is no problem', 'GET /api/version', { status: 401, type: problem, body: { error: 'no' } }],
    ['its status is not described', 'GET /api/version', { status: 409, type: problem, body: refusal }],
    ['its success is not described', 'GET /api/version', { status: 202, body: version }],
    ['the request was wrong and is not refused', 'GET /api/chat/sessions?limit=0', { body: emptyList }],
    ['nobody knows the path and it is there', 'GET /api/nothing', { body: {} }],
  ])('does not where %s', async (_, target, answer) => {
    expect(await judge(target, answer)).toThrow('is not as described');
  });

  it('does not where no token was asked for', async () => {
    expect(await judge('GET /api/version', { body: version }, {})).toThrow('is not as described');
  });
});
