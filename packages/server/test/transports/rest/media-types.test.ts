import { describe, expect, it } from 'vitest';
import { isJsonType, weightOf } from '../../../src/transports/rest/media-types.ts';

describe('an Accept header', () => {
  it.each([
    [null, true],
    ['', true],
    ['  ', true],
    ['*/*', true],
    ['application/*', true],
    ['application/json', true],
    ['Application/JSON', true],
    ['application/json; charset=utf-8', true],
    ['text/html, application/json;q=0.1', true],
    ['text/html,*/*;q=0.01', true],
    ['text/html', false],
    ['text/*', false],
    ['application/jsonp', false],
    ['application/problem+json', false],
    ['application/json;q=0', false],
    ['application/json;q=0.0', false],
    ['application/json ; q=0', false],
    // The most specific range decides, wherever it stands.
    ['*/*, application/json;q=0', false],
    ['application/json;q=0, */*', false],
    ['application/*;q=0, */*', false],
    ['*/*;q=0, application/*', true],
    ['*/*;q=0', false],
    ['application/json;q=nonsense', true],
    [',,', false],
  ])('%j', (accept, expected) => {
    expect(weightOf(accept, 'application/json') > 0).toBe(expected);
  });

  it('of a browser that follows events', () => {
    expect(weightOf('text/event-stream', 'text/event-stream')).toBe(1);
    expect(weightOf('text/event-stream', 'application/json')).toBe(0);
  });

  it('says how much it asks for each', () => {
    const accept = 'text/event-stream;q=0.2, application/*;q=0.5, */*;q=0.1';
    expect(['text/event-stream', 'application/json', 'image/png'].map((type) => weightOf(accept, type))).toEqual([
      0.2, 0.5, 0.1,
    ]);
  });
});

it.each([
  ['application/json', true],
  ['application/json;charset=utf-8', true],
  [' APPLICATION/JSON ; x=y', true],
  ['application/json; charset="UTF-8"', true],
  ['application/json; x=y; charset=utf8', true],
  ['application/json; charset=utf-16', false],
  ['application/json; charset=iso-8859-1', false],
  ['application/jsonp', false],
  ['text/json', false],
  ['application/merge-patch+json', false],
  ['', false],
  [null, false],
])('a Content-Type %j', (type, expected) => {
  expect(isJsonType(type)).toBe(expected);
});
