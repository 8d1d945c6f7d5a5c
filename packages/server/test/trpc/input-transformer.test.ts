import fc from 'fast-check';
import superjson from 'superjson';
import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../src/platform/service-error.ts';
import { deserializeInput } from '../../src/trpc/input-transformer.ts';
import { seed } from '../../../shared/test/support/seed.ts';

const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(superjson.serialize(value)));

describe('deserializeInput', () => {
  it('gives back every plain value that superjson serialises', () => {
    const plain = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.string(),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.constant(undefined),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(
          fc.string().filter((key) => !['__proto__', 'constructor', 'prototype'].includes(key)),
          tie('value'),
          { maxKeys: 4, noNullPrototype: true },
        ),
      ),
    }));
    fc.assert(
      fc.property(plain.value, (value) => {
        expect(deserializeInput(overTheWire(value))).toEqual(value);
      }),
      { seed, numRuns: 300 },
    );
  });

  it('keeps both copies of what was one object', () => {
    const one = { a: 1 };
    expect(deserializeInput(overTheWire({ x: one, y: one }))).toEqual({ x: { a: 1 }, y: { a: 1 } });
  });

  it.each([
    ['a BigInt', 10n],
    ['a RegExp', /a/u],
    ['a Date', new Date(0)],
    ['a Map', new Map([[1, 2]])],
    ['a Set', new Set([1])],
    ['an Error', new Error('x')],
    ['a URL', new URL('http://x')],
    ['NaN', Number.NaN],
    ['-0', -0],
    ['bytes', new Uint8Array([1])],
  ])('refuses %s at any depth', (_, value) => {
    for (const input of [value, { a: [value] }, { a: { b: undefined, c: value } }]) {
      expect(() => deserializeInput(overTheWire(input))).toThrow(ServiceError);
    }
  });

  it('never lets a payload reach a prototype', () => {
    const inputs = [
      { json: {}, meta: { values: { '__proto__.polluted': ['undefined'] }, v: 1 } },
      { json: {}, meta: { values: { 'constructor.prototype.polluted': ['undefined'] }, v: 1 } },
      JSON.parse('{"json":{"__proto__":{"polluted":1}},"meta":{"referentialEqualities":{"__proto__":["a"]}}}'),
    ];
    for (const input of inputs) {
      try {
        deserializeInput(input);
      } catch (error) {
        expect(error).toBeInstanceOf(ServiceError);
      }
    }
    expect('polluted' in {}).toBe(false);
  });

  it('takes nothing at all for no input', () => {
    expect(deserializeInput(undefined)).toBeUndefined();
    expect(deserializeInput(null)).toBeUndefined();
  });
});
