import type { DocumentSchema } from './openapi-document.ts';

/** A value that a schema does not allow, with the dotted path of what is wrong in it. */
export interface WrongValue {
  readonly path: string;
  readonly value: unknown;
}

/** A value just beyond each limit that a schema of a body states. */
export function* wrongValues(
  resolve: (schema: DocumentSchema) => DocumentSchema,
  schema: DocumentSchema,
  path: string,
): Generator<WrongValue> {
  const { anyOf, ...own } = resolve(schema);
  const wrong = (value: unknown): WrongValue => ({ path, value });
  const branch = anyOf?.map(resolve).find(({ type }) => type !== 'null');
  const is = branch ?? own;
  if (is.type === 'string') yield wrong(7);
  else yield wrong('abc');
  yield* [...wrongTexts(is), ...wrongNumbers(is)].map(wrong);
  if (is.type === 'array' && is.items !== undefined) {
    for (const item of wrongValues(resolve, is.items, `${path}.0`)) {
      yield { path: item.path, value: [item.value] };
    }
    const [good] = resolve(is.items).enum ?? [];
    if (is.maxItems !== undefined) yield wrong(Array.from({ length: is.maxItems + 1 }, () => good));
  }
  if (is.type !== 'object') return;
  for (const [name, property] of Object.entries(is.properties ?? {})) {
    for (const inner of wrongValues(resolve, property, `${path}.${name}`)) {
      yield { path: inner.path, value: { [name]: inner.value } };
    }
  }
  if (is.additionalProperties === false) yield { path: `${path}.unheardOf`, value: { unheardOf: 1 } };
  else if (typeof is.additionalProperties === 'object') {
    for (const text of wrongTexts(is.additionalProperties)) yield { path: `${path}.key`, value: { key: text } };
  }
  for (const name of wrongTexts(is.propertyNames ?? {})) yield { path: `${path}.${name}`, value: { [name]: 'x' } };
  if (is.maxProperties !== undefined) {
    const pairs = Array.from({ length: is.maxProperties + 1 }, (_, index) => [`key-${index}`, 'x']);
    yield wrong(Object.fromEntries(pairs));
  }
}

/** The same for what travels as text: a parameter. */
export function wrongParameters({ type, ...schema }: DocumentSchema): string[] {
  if (type === 'string') return wrongTexts(schema);
  return ['abc', '1e3', ...wrongNumbers({ type: type ?? '', ...schema }).map(String)];
}

function wrongTexts({ format, enum: values, pattern, minLength, maxLength }: DocumentSchema): string[] {
  const texts: string[] = [];
  if (format === 'uuid') texts.push('not-a-uuid');
  if (values !== undefined) texts.push('unheard-of');
  if (pattern !== undefined) texts.push('x'.repeat(256));
  if (minLength !== undefined && minLength > 0) texts.push('');
  if (maxLength !== undefined) texts.push('x'.repeat(maxLength + 1));
  return texts;
}

function wrongNumbers({ type, minimum, maximum }: DocumentSchema): number[] {
  const numbers: number[] = [];
  if (type === 'integer') numbers.push(1.5);
  if (minimum !== undefined) numbers.push(minimum - 1);
  if (maximum !== undefined) numbers.push(maximum + 1);
  return numbers;
}
