import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chooseRoute } from '../../../src/transports/rest/choose-route.ts';
import { createRouteTable, parametersOf } from '../../../src/transports/rest/route-table.ts';
import { userProcedure } from '../../../src/trpc/procedures.ts';
import { trpc } from '../../../src/trpc/trpc.ts';
import { toyTable } from './toy-routes.ts';

describe('the table', () => {
  it('has every declared procedure, once for each way to it, and no other', () => {
    expect(toyTable.routes.map(({ procedure }) => procedure).toSorted()).toEqual([
      'follow',
      'follow',
      'get',
      'list',
      'make',
      'part',
      'search',
      'start',
      'stream',
      'watch',
    ]);
  });

  it.each([
    ['GET', '/things', 'list', {}],
    ['POST', '/things', 'make', {}],
    ['GET', '/things/7', 'get', { id: '7' }],
    ['GET', '/things/search', 'search', {}],
    ['GET', '/things/searching', 'get', { id: 'searching' }],
    ['DELETE', '/things/a/parts/b', 'part', { id: 'a', partId: 'b' }],
    ['GET', '/things/a%2Fb', 'get', { id: 'a/b' }],
    ['GET', '/things/%F0%9F%99%82', 'get', { id: '🙂' }],
    ['GET', '/things/__proto__', 'get', { id: '__proto__' }],
    ['GET', '/thi%6Egs', 'list', {}],
  ])('finds %s %s', (method, path, procedure, parameters) => {
    const { match } = toyTable.match(method, path);
    expect(match?.routes.map((route) => route.procedure)).toEqual([procedure]);
    expect(match?.parameters).toEqual(parameters);
  });

  it.each([
    '/',
    '',
    '/thing',
    '/things/',
    '/things/a/',
    '/things//parts/b',
    '/things/a/parts',
    '/things/%ZZ',
    '/THINGS',
    '/things/a/b',
  ])('does not know %s', (path) => {
    expect(toyTable.match('GET', path)).toEqual({ match: null, methods: [] });
  });

  it('tells the methods of a path that has not this one', () => {
    expect(toyTable.match('PUT', '/things')).toEqual({ match: null, methods: ['GET', 'HEAD', 'POST'] });
    expect(toyTable.match('POST', '/things/search')).toEqual({ match: null, methods: ['GET', 'HEAD'] });
  });

  it('has HEAD wherever there is GET, except where that is declared otherwise', () => {
    const headed = toyTable.match('HEAD', '/things/7');
    expect(headed.match).toEqual(toyTable.match('GET', '/things/7').match);
    expect(toyTable.match('HEAD', '/things/a/parts/b')).toEqual({ match: null, methods: ['DELETE'] });
    expect(toyTable.match('HEAD', '/things/7/watch')).toEqual({ match: null, methods: ['GET'] });
    expect(toyTable.match('GET', '/things/7/watch').match?.parameters).toEqual({ id: '7' });
  });

  it('reads the names in a path', () => {
    expect(parametersOf('/things/{id}/parts/{partId}')).toEqual(['id', 'partId']);
    expect(parametersOf('/things')).toEqual([]);
  });

  it('refuses an input that is no object', () => {
    const text = userProcedure
      .meta({ summary: 'Text.', rest: { method: 'GET', path: '/text', operationId: 'text', tag: 'System' } })
      .input(z.string())
      .query(() => '');
    expect(() => createRouteTable(trpc.router({ text }))).toThrow('text');
  });
});

describe('of the procedures that share a path', () => {
  const { match } = toyTable.match('POST', '/things/7/stream');
  const choose = (headers: Record<string, string>, query = '') =>
    chooseRoute(match?.routes ?? [], { headers: new Headers(headers), query: new URLSearchParams(query) })?.procedure;
  const resuming = { 'last-event-id': 'x' };

  it.each([
    [{}, 'stream'],
    [{ accept: '*/*' }, 'stream'],
    [{ accept: 'text/event-stream' }, 'stream'],
    [{ accept: 'application/json, text/event-stream' }, 'stream'],
    [{ accept: 'application/json' }, 'start'],
    [{ accept: 'application/*' }, 'start'],
    [{ accept: 'application/json, text/event-stream;q=0' }, 'start'],
    [{ accept: 'text/event-stream;q=0.5, application/json' }, 'start'],
    [{ accept: 'application/json, */*;q=0.1' }, 'start'],
    [{ accept: 'application/json;q=0.5, text/event-stream' }, 'stream'],
    [{ accept: 'application/json, text/plain, */*' }, 'stream'],
    [{ accept: 'text/html' }, undefined],
    [resuming, 'follow'],
    [{ 'last-event-id': '' }, 'follow'],
    [{ ...resuming, accept: 'text/event-stream' }, 'follow'],
    [{ ...resuming, accept: 'application/json' }, undefined],
    [{ ...resuming, accept: 'text/html' }, undefined],
  ])('%j means %s', (headers, procedure) => {
    expect(choose(headers)).toBe(procedure);
  });

  it('whoever names an event in the query starts nothing either', () => {
    expect(choose({}, 'lastEventId=x')).toBe('follow');
    expect(choose({ accept: 'application/json' }, 'lastEventId=')).toBeUndefined();
  });

  it('an event id changes nothing where there is nothing to resume', () => {
    const list = toyTable.match('GET', '/things').match?.routes ?? [];
    const request = { headers: new Headers(resuming), query: new URLSearchParams('lastEventId=x') };
    expect(chooseRoute(list, request)?.procedure).toBe('list');
  });
});
