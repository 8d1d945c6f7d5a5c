import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../src/platform/service-error.ts';
import { nameHeaders, readInput, type RequestParts } from '../../../src/transports/rest/read-input.ts';
import { toyRoute } from './toy-routes.ts';

const list = toyRoute('list');
const make = toyRoute('make');
const stream = toyRoute('stream');

function read(
  route: typeof list,
  {
    query = '',
    headers = {},
    ...parts
  }: { query?: string; headers?: Record<string, string> } & Partial<Pick<RequestParts, 'parameters' | 'body'>>,
) {
  return readInput(route, {
    parameters: {},
    body: undefined,
    ...parts,
    query: new URLSearchParams(query),
    headers: new Headers(headers),
  });
}

describe('a query', () => {
  it.each([
    ['limit=7', { limit: 7 }],
    ['limit=0', { limit: 0 }],
    ['limit=-3', { limit: -3 }],
    ['limit=999999999999999', { limit: 999_999_999_999_999 }],
    ['ratio=2', { ratio: 2 }],
    ['all=true', { all: true }],
    ['all=false', { all: false }],
    ['text=7', { text: '7' }],
    ['text=true', { text: 'true' }],
    ['text=', { text: '' }],
    ['text=a+b%20c', { text: 'a b c' }],
    ['limit=7&limit=8', { limit: ['7', '8'] }],
    ['unknown=1&__proto__=2&sessionId=x', {}],
    ['', {}],
  ])('%s', (query, expected) => {
    expect(read(list, { query })).toEqual(expected);
  });

  it.each([
    '1e3',
    '+1',
    '%2B1',
    '%201',
    '1%20',
    '01',
    '0x1',
    '1.0',
    '1.',
    '.5',
    '',
    'NaN',
    'Infinity',
    '9999999999999999',
    '١',
  ])('leaves %j to the schema, as text', (text) => {
    const { limit } = read(list, { query: `limit=${text}` });
    expect(typeof limit).toBe('string');
    expect(list.input.safeParse({ limit }).success).toBe(false);
  });

  it('does not change the schema that it reads', () => {
    read(list, { query: 'limit=7&all=true' });
    expect(list.input.safeParse({ limit: 7 }).success).toBe(true);
    expect(list.input.safeParse({ limit: '7' }).success).toBe(false);
    expect(list.input.safeParse({ all: 'true' }).success).toBe(false);
  });
});

describe('a body', () => {
  it('is taken as it is', () => {
    expect(read(make, { body: { title: '7', other: [1] }, query: 'title=x' })).toEqual({ title: '7', other: [1] });
    expect(read(make, { body: undefined })).toEqual({});
  });

  it.each([[[]], [null], ['text'], [7], [true]])('%j is none', (body) => {
    expect(() => read(make, { body })).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
  });

  it('has no field that travels in a header', () => {
    const body = { title: 'x', idempotencyKey: 'mine', lastEventId: 'mine' };
    expect(() => read(make, { body })).toThrow(
      expect.objectContaining({
        errors: [expect.objectContaining({ path: 'idempotencyKey' }), expect.objectContaining({ path: 'lastEventId' })],
      }),
    );
  });

  it('is not read by who only follows', () => {
    const resume = toyRoute('follow', 'resuming');
    const input = read(resume, {
      body: { text: 'x' },
      parameters: { id: '7' },
      headers: { 'last-event-id': 'e' },
    });
    expect(input).toEqual({ id: '7', lastEventId: 'e' });
  });
});

it('parameters of the path win', () => {
  const parameters = { id: 'path' };
  expect(read(stream, { parameters, body: { id: 'body' }, query: 'id=query' })).toMatchObject({ id: 'path' });
  expect(read(toyRoute('get'), { parameters, query: 'id=query&id=again' })).toEqual({ id: 'path' });
});

describe('a header', () => {
  const parameters = { id: '7' };

  it('carries the idempotency key, where one is taken', () => {
    const headers = { 'idempotency-key': 'mine' };
    expect(read(make, { headers })).toEqual({ idempotencyKey: 'mine' });
    expect(read(stream, { headers, parameters })).toMatchObject({ idempotencyKey: 'mine' });
    expect(read(list, { headers })).toEqual({});
  });

  it('is made up where one is needed', () => {
    const keys = [0, 1].map(() => read(stream, { parameters })['idempotencyKey']);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/u);
    expect(keys[1]).not.toBe(keys[0]);
    expect(read(make, {})).toEqual({});
    expect(read(stream, { parameters, headers: { 'idempotency-key': '' } })).toMatchObject({ idempotencyKey: '' });
  });

  it('carries the last event id, before the query', () => {
    const follow = toyRoute('follow');
    const headers = { 'last-event-id': 'header' };
    expect(read(follow, { parameters, headers, query: 'lastEventId=query' })).toEqual({
      id: '7',
      lastEventId: 'header',
    });
    expect(read(follow, { parameters, query: 'lastEventId=query' })).toEqual({ id: '7', lastEventId: 'query' });
    expect(read(follow, { parameters, query: 'lastEventId=a&lastEventId=b' })).toEqual({
      id: '7',
      lastEventId: ['a', 'b'],
    });
    expect(read(follow, { parameters })).toEqual({ id: '7' });
    expect(read(list, { headers })).toEqual({});
  });

  it('is named in errors about its field, and only there', () => {
    const errors = [
      { path: 'idempotencyKey', message: 'too long' },
      { path: 'lastEventId', message: 'too long' },
      { path: 'title', message: 'too long' },
    ];
    const named = nameHeaders(
      new ServiceError('BAD_REQUEST', { detail: 'Wrong.', errors }),
      new Headers({ 'idempotency-key': 'x' }),
    );
    expect(named).toMatchObject({ code: 'BAD_REQUEST', detail: 'Wrong.' });
    expect(named.errors?.map(({ path }) => path)).toEqual(['Idempotency-Key', 'lastEventId', 'title']);
    const other = new ServiceError('CONFLICT');
    expect(nameHeaders(other, new Headers())).toBe(other);
  });
});
