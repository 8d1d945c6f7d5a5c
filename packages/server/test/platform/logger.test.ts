import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../src/platform/service-error.ts';
import { createLogger, payloadForLog, type Logger } from '../../src/platform/logger.ts';

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkZXYifQ.c2lnbmF0dXJl';

function logged(use: (logger: Logger) => void, level: 'debug' | 'info' = 'debug'): { text: string; lines: unknown[] } {
  let text = '';
  use(createLogger({ level, destination: { write: (chunk) => void (text += chunk) } }));
  return {
    text,
    lines: text
      .split('\n')
      .slice(0, -1)
      .map((line): unknown => JSON.parse(line)),
  };
}

describe('createLogger', () => {
  it('writes one JSON line a call, from its level on', () => {
    const { lines } = logged((logger) => {
      logger.debug('hidden');
      logger.info({ route: 'session.get', durationMs: 3 }, 'two\nlines');
    }, 'info');
    expect(lines).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-.*Z$/u),
        route: 'session.get',
        durationMs: 3,
        msg: 'two\nlines',
      },
    ]);
  });

  it('lets no credential through, at any depth and in any spelling', () => {
    const secretText = 'hunter2-hunter2';
    const credentials = {
      authorization: secretText,
      'Proxy-Authorization': secretText,
      Cookie: [secretText],
      'set-cookie': secretText,
      token: secretText,
      accessToken: { value: secretText },
      AUTH_JWT_SECRET: secretText,
      secrets: [secretText],
      key: secretText,
      apiKey: secretText,
      OPENAI_API_KEY: secretText,
      password: secretText,
    };
    const { text, lines } = logged((logger) => {
      logger.info(credentials, 'flat');
      logger.info({ a: { b: [{ c: { d: { request: { headers: credentials } } } }] } }, 'deep');
      logger.info(
        { headers: new Headers({ authorization: secretText }), params: new Map([['token', secretText]]) },
        'maps',
      );
      logger.error({ err: new Error('outer', { cause: Object.assign(new Error('inner'), credentials) }) }, 'error');
    });
    expect(lines).toHaveLength(4);
    expect(text).not.toContain('hunter2');
    expect(text).toContain('"cause":{"type":"Error","message":"inner"');
  });

  it('finds credentials inside text, also in the sentence', () => {
    const { text, lines } = logged((logger) => {
      logger.info({ header: `Bearer ${jwt}`, url: `/trpc?token=${jwt}&x=1`, opaque: 'bearer abc.def' }, `got ${jwt}`);
      logger.warn({ url: 'postgres://chat:hunter2@db.example.com/chat' }, 'redis://:hunter2@cache');
      logger.error(new Error(`no access with Bearer ${jwt}`));
    });
    expect(lines).toHaveLength(3);
    expect(text).not.toMatch(/eyJ|hunter2|abc\.def/u);
    expect(text).toContain('db.example.com/chat');
    expect(text).toContain('&x=1');
  });

  it('keeps figures whose names sound like credentials', () => {
    const fields = {
      inputTokens: 12,
      maxTokens: 5,
      firstToken: 60_000,
      idempotencyKey: 'k1',
      token: null,
      secret: true,
    };
    const { lines } = logged((logger) => logger.info(fields, 'figures'));
    expect(lines[0]).toMatchObject(fields);
  });

  it('keeps out what users wrote when a driver or a parser puts it into an error', () => {
    const query = Object.assign(new Error('Failed query: insert into messages\nparams: my diary\n    at diary'), {
      query: 'insert into messages',
      params: ['my diary'],
      detail: 'Failing row contains (my diary)',
      code: '23514',
    });
    const parse = (() => {
      try {
        return JSON.parse('my diary') as Error;
      } catch (error) {
        return error as Error;
      }
    })();
    const { text, lines } = logged((logger) => {
      logger.error({ err: query }, 'query');
      logger.error({ err: new ServiceError('INTERNAL', { cause: parse }) }, 'parse');
      logger.error(query);
    });
    expect(text).not.toContain('diary');
    expect(lines[0]).toMatchObject({ err: { message: 'failed query: insert into messages', code: '23514' } });
    expect(text).toContain('logger.test.ts');
  });

  it('survives values that JSON has no form for', () => {
    const circular: Record<string, unknown> = { big: 1n, at: new Date(0), bytes: new Uint8Array(3) };
    circular['self'] = circular;
    const { lines } = logged((logger) => logger.info({ circular }, 'odd'));
    expect(lines[0]).toMatchObject({
      circular: { big: '1', at: '1970-01-01T00:00:00.000Z', bytes: 'bytes(3)', self: '[circular]' },
    });
  });
});

describe('payloadForLog', () => {
  const payload = {
    sessionId: 's1',
    message: 'my diary',
    parameters: { maxTokens: 5 },
    list: ['ab', null],
    token: jwt,
  };

  it('is absent for none', () => {
    expect(payloadForLog(payload, 'none')).toBeUndefined();
  });

  it('is the structure for redacted', () => {
    expect(payloadForLog(payload, 'redacted')).toEqual({
      sessionId: 'text(2)',
      message: 'text(8)',
      parameters: { maxTokens: 5 },
      list: ['text(2)', null],
      token: '[redacted]',
    });
  });

  it('is everything but credentials for full', () => {
    expect(payloadForLog(payload, 'full')).toEqual({ ...payload, token: '[redacted]' });
  });
});
