import { describe, expect, it } from 'vitest';
import { acceptsType, isJsonType } from '../../../src/transports/rest/media-types.ts';

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
    expect(acceptsType(accept, 'application/json')).toBe(expected);
  });

  it('of a browser that follows events', () => {
    expect(acceptsType('text/event-stream', 'text/event-stream')).toBe(true);
    expect(acceptsType('text/event-stream', 'application/json')).toBe(false);
  });
});

it.each([
  ['application/json', true],
  ['application/json;charset=utf-8', true],
  [' APPLICATION/JSON ; x=y', true],
  ['application/jsonp', false],
  ['text/json', false],
  ['application/merge-patch+json', false],
  ['', false],
  [null, false],
])('a Content-Type %j', (type, expected) => {
  expect(isJsonType(type)).toBe(expected);
});
