import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { createParser } from 'eventsource-parser';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { createGoodCalls, type Conversation, type GoodCall, type GoodCalls } from '../src/good-calls.ts';
import { readDocument, type DocumentOperation, type ReadDocument } from '../src/openapi-document.ts';
import { startPrism } from '../src/prism.ts';
import { startShell } from '../src/shell.ts';
import { startWorld, type World } from '../src/world.ts';
import { wrongParameters, wrongValues } from '../src/wrong-values.ts';

const root = join(import.meta.dirname, '../../..');

let world: World;
let token: string;
let supervisorToken: string;
let text: string;
let document: ReadDocument;
let conversation: () => Promise<Conversation>;
let goodCalls: GoodCalls;
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);

beforeAll(async () => {
  world = await startWorld({ kind: 'sqlite' });
  token = await world.token();
  // Some of what is under this tag is for administrators alone.
  supervisorToken = await world.token('watcher', { role: 'admin' });
  ({ conversation, goodCalls } = createGoodCalls(world));
  text = await (await fetch(`${world.url}/api/openapi.json`)).text();
  const parsed = JSON.parse(text) as object;
  document = readDocument(parsed);
  ajv.addSchema({ $id: 'openapi', ...parsed });
});
afterAll(() => world[Symbol.asyncDispose]());

function request(
  { path, method, tags }: DocumentOperation,
  call: Omit<GoodCall, 'status'>,
  {
    authorization = `Bearer ${tags.includes('Supervision') ? supervisorToken : token}`,
    url = world.url,
  }: { readonly authorization?: string; readonly url?: string } = {},
) {
  const filled = path.replaceAll(/\{(\w+)\}/gu, (_, name: string) => encodeURIComponent(call.path?.[name] ?? ''));
  const query = new URLSearchParams(call.query);
  return fetch(`${url}${filled}${query.size === 0 ? '' : `?${query.toString()}`}`, {
    method,
    headers: {
      ...(authorization !== '' && { authorization }),
      ...(call.body !== undefined && { 'content-type': 'application/json' }),
      ...call.headers,
    },
    ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
  });
}

/** A folder with the served document, and the tools that read one. None of them reaches beyond this machine. */
function createTools() {
  const directory = mkdtempSync(join(tmpdir(), 'chat-service-openapi-'));
  const started = new AsyncDisposableStack();
  started.defer(() => rmSync(directory, { recursive: true, force: true }));
  const write = (name: string, content: string) => writeFileSync(join(directory, name), content);
  write('openapi.json', text);
  const bins = ['node_modules/.bin', 'apps/e2e/node_modules/.bin'].map((path) => join(root, path));
  const env = {
    ...process.env,
    PATH: [...bins, process.env['PATH']].join(delimiter),
    REDOCLY_TELEMETRY: 'off',
    REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true',
    DO_NOT_TRACK: '1',
    // Whatever would call home finds nobody there.
    HTTPS_PROXY: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1',
  };
  return {
    write,
    start: (command: string) => started.use(startShell(command, { cwd: directory, env })),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** Holds an answer against what the document says of its status: media type, headers and body. */
async function expectAsDocumented(operation: DocumentOperation, response: Response): Promise<unknown> {
  const { status, headers } = response;
  const where = `${operation.operationId} ${status}`;
  const documented = operation.answers[String(status)];
  if (documented === undefined) throw new Error(`${where} is not documented: ${await response.text()}`);
  expect(headers.get('x-request-id'), where).toMatch(/^[0-9a-f-]{36}$/u);
  for (const name of ['Location', 'WWW-Authenticate', 'Retry-After']) {
    expect([where, name, headers.has(name)]).toEqual([where, name, Object.hasOwn(documented.headers ?? {}, name)]);
  }
  const body = await response.text();
  const mediaType = headers.get('content-type')?.split(';')[0];
  if (documented.content === undefined || mediaType === undefined) {
    expect([where, mediaType, body]).toEqual([where, undefined, '']);
    expect(documented.content).toBeUndefined();
    return null;
  }
  expect(Object.keys(documented.content), where).toContain(mediaType);
  const values =
    mediaType === 'text/event-stream' ? eventsOf(body) : [mediaType === 'text/html' ? body : JSON.parse(body)];
  expect(values).not.toHaveLength(0);
  const pointer = operation.pointer(status, mediaType);
  for (const value of values) {
    expect(ajv.validate({ $ref: `openapi${pointer}` }, value), `${where}: ${ajv.errorsText()}`).toBe(true);
  }
  return values[0];
}

function eventsOf(body: string): unknown[] {
  const events: unknown[] = [];
  const parser = createParser({ onEvent: ({ data }) => void events.push(JSON.parse(data)) });
  parser.feed(body);
  return events;
}

describe('the OpenAPI document', () => {
  it('is the committed one', () => {
    expect(JSON.parse(text)).toEqual(JSON.parse(readFileSync(join(root, 'docs/openapi.json'), 'utf8')));
  });

  it('passes the recommended rules of Redocly and Spectral without a warning', async () => {
    await using tools = createTools();
    tools.write('redocly.yaml', 'extends: [recommended]\n');
    tools.write('spectral.yaml', 'extends: ["spectral:oas"]\n');
    const redocly = await tools.start('redocly lint --config redocly.yaml --format json openapi.json').result;
    expect(redocly, redocly.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(redocly.stdout)).toMatchObject({ totals: { errors: 0, warnings: 0 }, problems: [] });
    const spectral = await tools.start(
      'spectral lint --quiet --ruleset spectral.yaml --fail-severity hint --format json openapi.json',
    ).result;
    expect(spectral, spectral.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(spectral.stdout)).toEqual([]);
  });

  it('describes what every operation answers', async () => {
    expect(document.operations.map(({ operationId }) => operationId).toSorted()).toEqual(
      Object.keys(goodCalls).toSorted(),
    );
    for (const operation of document.operations) {
      const at = await conversation();
      for (const call of goodCalls[operation.operationId]?.(at) ?? []) {
        await call.beginning?.();
        const response = await request(operation, call);
        const { status } = response;
        await call.ending?.();
        const body = await expectAsDocumented(operation, response);
        expect([operation.operationId, status, body]).toEqual([operation.operationId, call.status, body]);
        // A 202 is still writing when it is told.
        if (status === 202) await vi.waitFor(async () => expect(await isIdle(at)).toBe(true), patience);
      }
    }
  });

  it('holds through a proxy that validates every request and answer', async () => {
    await using prism = await startPrism(world.url, { errors: true });
    const { url } = prism;
    for (const operation of document.operations) {
      if (Object.values(operation.answers).some(({ content = {} }) => 'text/event-stream' in content)) continue;
      const at = await conversation();
      for (const call of goodCalls[operation.operationId]?.(at) ?? []) {
        await call.beginning?.();
        const response = await request(operation, call, { url });
        const where = `${operation.operationId}: ${await response.text()}`;
        expect([response.status, response.headers.get('sl-violations')], where).toEqual([call.status, null]);
      }
    }
    const [create] = document.operations;
    if (create === undefined) throw new Error('the document has no operations');
    const refused = await request(create, { body: { title: 7 } }, { url });
    expect(refused.headers.get('content-type')).toContain('problem+json');
    expect(await refused.json()).toMatchObject({ type: expect.stringContaining('stoplight'), status: 422 });
  });

  it('ends a resumption where nothing is left with 204', async () => {
    const { sessionId } = await conversation();
    for (const operation of document.operations) {
      if (!['followMessage', 'streamMessage'].includes(operation.operationId)) continue;
      const follow = document.operations.find(({ operationId }) => operationId === 'followMessage') ?? operation;
      const stream = await (await request(follow, { path: { sessionId } })).text();
      const last = [...stream.matchAll(/^id: (.+)$/gmu)].at(-1)?.[1] ?? '';
      const response = await request(operation, { path: { sessionId }, headers: { 'last-event-id': last } });
      expect(response.status).toBe(204);
      await expectAsDocumented(operation, response);
    }
  });

  it('says of every operation whether it needs a token', async () => {
    const at = await conversation();
    for (const operation of document.operations) {
      const [call] = goodCalls[operation.operationId]?.(at) ?? [];
      for (const authorization of ['', 'Bearer nonsense']) {
        const response = await request(operation, call ?? {}, { authorization });
        const expected = operation.isPublic ? 200 : 401;
        expect([operation.operationId, response.status]).toEqual([operation.operationId, expected]);
        await expectAsDocumented(operation, response);
      }
    }
  });

  it('lists the refusals that every operation of a kind can give', async () => {
    const at = await conversation();
    const unknown = '01890a5d-ac96-774b-bcce-b302099a8057';
    for (const operation of document.operations) {
      const [good = { status: 0 }] = goodCalls[operation.operationId]?.(at) ?? [];
      const expectRefused = async (call: Omit<GoodCall, 'status'>, status: number) => {
        const response = await request(operation, call);
        expect([operation.operationId, response.status]).toEqual([operation.operationId, status]);
        await expectAsDocumented(operation, response);
      };
      await expectRefused({ ...good, headers: { origin: 'https://elsewhere.example' } }, 403);
      await expectRefused({ ...good, query: { token: 'in-the-url' } }, 400);
      if (operation.isPublic) continue;
      await expectRefused({ ...good, headers: { accept: 'image/png' } }, 406);
      if (good.path?.['sessionId'] !== undefined) {
        await expectRefused({ ...good, path: { ...good.path, sessionId: unknown } }, 404);
      }
      if (operation.body === null) continue;
      await expectRefused({ ...good, body: good.body, headers: { 'content-type': 'text/plain' } }, 415);
    }
  });

  it('lists the refusals that the state of a session brings about', async () => {
    const at = await conversation();
    const path = { sessionId: at.sessionId };
    const expectRefused = async (operationId: string, call: Omit<GoodCall, 'status'>, status: number, code: string) => {
      const operation = document.operations.find((one) => one.operationId === operationId);
      if (operation === undefined) throw new Error(`there is no ${operationId}`);
      const response = await request(operation, { path, ...call });
      expect([operationId, response.status]).toEqual([operationId, status]);
      expect(await expectAsDocumented(operation, response)).toMatchObject({ code });
    };
    await expectRefused('stopMessage', {}, 409, 'CONFLICT');
    await expectRefused('stopObservedSession', {}, 409, 'CONFLICT');
    await expectRefused('listUserSessions', { path: { userId: 'nobody' } }, 404, 'NOT_FOUND');

    world.openai.script('Wait', { chunks: ['a'], hold: 'every' });
    const index = world.openai.calls.length;
    const { trpc } = world.trpc();
    await trpc.message.start.mutate({ ...path, message: 'Wait' });
    const call = await world.openai.call(index);
    const accept = { accept: 'application/json' };
    await expectRefused('sendMessage', { body: { message: 'More' } }, 409, 'GENERATION_IN_PROGRESS');
    await expectRefused('streamMessage', { body: { message: 'More' } }, 409, 'GENERATION_IN_PROGRESS');
    await expectRefused('streamMessage', { body: { message: 'More' }, headers: accept }, 409, 'GENERATION_IN_PROGRESS');
    await expectRefused('finalizeMessage', { body: { completeResponse: 'a' } }, 409, 'GENERATION_IN_PROGRESS');
    const messageId = at.userMessageId;
    await expectRefused('deleteMessage', { path: { ...path, messageId } }, 409, 'GENERATION_IN_PROGRESS');
    call.releaseAll();
    await vi.waitFor(async () => expect(await isIdle(at)).toBe(true), patience);

    const headers = { 'idempotency-key': 'one key' };
    await trpc.message.send.mutate({ ...path, message: 'First', idempotencyKey: 'one key' });
    await expectRefused('sendMessage', { body: { message: 'Second' }, headers }, 422, 'IDEMPOTENCY_KEY_REUSED');
    await expectRefused('createSession', { path: {}, body: {}, headers }, 422, 'IDEMPOTENCY_KEY_REUSED');
    world.openai.script('Fail', { status: 400 });
    await expectRefused('sendMessage', { body: { message: 'Fail' } }, 502, 'MODEL_ERROR');
    const requirements = { minContextWindow: 9_000_000 };
    await expectRefused('recommendModel', { path: {}, body: { requirements } }, 404, 'NOT_FOUND');
  });

  it('states limits that are refused when they are crossed, field by field', async () => {
    const at = await conversation();
    const unnoticed: string[] = [];
    let tried = 0;
    const expectRefused = async (operation: DocumentOperation, call: Omit<GoodCall, 'status'>, path: string) => {
      tried += 1;
      const response = await request(operation, call);
      const body = await expectAsDocumented(operation, response);
      const paths = ((body as { errors?: { path: string }[] }).errors ?? []).map((error) => error.path);
      if (response.status === 400 && paths.includes(path)) return;
      unnoticed.push(
        `${operation.operationId}: ${path} as ${JSON.stringify(call).slice(0, 120)}: ${response.status} ${paths.join()}`,
      );
    };
    for (const operation of document.operations) {
      const [good = { status: 0 }] = goodCalls[operation.operationId]?.(at) ?? [];
      for (const parameter of operation.parameters) {
        for (const value of wrongParameters(parameter.schema)) {
          const call = { ...good, query: { ...good.query }, headers: { ...good.headers }, path: { ...good.path } };
          // On a POST the query is read of what goes on after an event only.
          const needsId = operation.method === 'POST' && parameter.in === 'query';
          if (needsId) call.headers['last-event-id'] = 'unreadable';
          const place = parameter.in === 'header' ? call.headers : call[parameter.in];
          // A segment of a path that is empty is another path, and a header without a value none.
          if (value === '' && parameter.in !== 'query') continue;
          place[parameter.in === 'header' ? parameter.name.toLowerCase() : parameter.name] = value;
          await expectRefused(operation, call, parameter.name);
        }
      }
      if (operation.body === null) continue;
      const { properties = {} } = document.resolve(operation.body);
      const accepts = operation.answers['202'] === undefined ? [undefined] : [undefined, 'application/json'];
      for (const accept of accepts) {
        const headers = { ...good.headers, ...(accept !== undefined && { accept }) };
        for (const [name, schema] of Object.entries(properties)) {
          for (const { path, value } of wrongValues(document.resolve, schema, name)) {
            const body = { ...(good.body as object), [name]: value };
            await expectRefused(operation, { ...good, headers, body }, path);
          }
        }
        const body = { ...(good.body as object), unheardOf: 1 };
        await expectRefused(operation, { ...good, headers, body }, 'unheardOf');
      }
    }
    expect(unnoticed).toEqual([]);
    expect(tried).toBeGreaterThan(150);
  });
});

async function isIdle({ sessionId }: Conversation): Promise<boolean> {
  const { session } = await world.trpc().trpc.session.get.query({ sessionId });
  return session.status === 'idle';
}
