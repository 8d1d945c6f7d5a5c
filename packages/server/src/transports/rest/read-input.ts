import type { FieldError } from '@chat-service/shared/errors';
import { z } from 'zod';
import { newUuid } from '../../platform/ids.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { RestRoute } from './route-table.ts';

export interface RequestParts {
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  /** The parsed body; undefined where none was sent. */
  readonly body: unknown;
}

/** Fields of an input that travel in a header on this door. */
export const headerFields = { idempotencyKey: 'Idempotency-Key', lastEventId: 'Last-Event-ID' } as const;

/**
 * Puts a procedure's input together: the body's fields (or the query's, where there is no body), headers, and path
 * parameters, which win. Whether it is right is for the procedure to judge.
 * @throws ServiceError `BAD_REQUEST` for a body that is no object, or that has a field which travels in a header
 */
export function readInput(
  route: RestRoute,
  { parameters, query, headers, body }: RequestParts,
): Record<string, unknown> {
  const { method, idempotencyKey, when } = route.declaration;
  const takesBody = (method === 'POST' || method === 'PATCH') && when !== 'resuming';
  const input = takesBody ? readBody(body) : readQuery(route.input, query);
  if ('lastEventId' in route.input.shape) {
    const lastEventId = headers.get(headerFields.lastEventId) ?? oneOrAll(query.getAll('lastEventId'));
    if (lastEventId !== undefined) input['lastEventId'] = lastEventId;
  }
  if (idempotencyKey !== undefined) {
    const key = headers.get(headerFields.idempotencyKey);
    if (key !== null) input['idempotencyKey'] = key;
    else if (idempotencyKey === 'required') input['idempotencyKey'] = newUuid();
  }
  return { ...input, ...parameters };
}

function readBody(body: unknown): Record<string, unknown> {
  if (body === undefined) return {};
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ServiceError('BAD_REQUEST', { detail: 'The body has to be a JSON object.' });
  }
  const errors: FieldError[] = Object.keys(headerFields)
    .filter((field) => Object.hasOwn(body, field))
    .map((field) => ({ path: field, message: 'unknown field' }));
  if (errors.length > 0) throw new ServiceError('BAD_REQUEST', { detail: 'The body has unknown fields.', errors });
  return { ...body };
}

/** Known parameters with the types of their fields; what cannot be read stays text, for the schema to refuse. */
function readQuery(schema: z.ZodObject, query: URLSearchParams): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const [name, field] of Object.entries<z.core.$ZodType>(schema.shape)) {
    const value = oneOrAll(query.getAll(name));
    if (value !== undefined) input[name] = typeof value === 'string' ? coerce(field, value) : value;
  }
  return input;
}

/** A parameter that is repeated is no single value, and is left to the schema to refuse. */
function oneOrAll(values: readonly string[]): string | readonly string[] | undefined {
  return values.length > 1 ? values : values[0];
}

const decimalInteger = /^-?(?:0|[1-9]\d{0,14})$/u;

function coerce(field: z.core.$ZodType, text: string): unknown {
  const type = innermost(field);
  if (type instanceof z.ZodNumber && decimalInteger.test(text)) return Number(text);
  if (type instanceof z.ZodBoolean && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

/** The schema itself below what makes it optional. */
function innermost(field: z.core.$ZodType): z.core.$ZodType {
  return field instanceof z.ZodOptional || field instanceof z.ZodNullable || field instanceof z.ZodDefault
    ? innermost(field.unwrap())
    : field;
}

/** Names the header in a procedure's errors about a field that came in one. */
export function nameHeaders(error: ServiceError, headers: Headers): ServiceError {
  if (error.errors === undefined) return error;
  const names: Readonly<Partial<Record<string, string>>> = headerFields;
  const errors = error.errors.map(({ path, message }) => {
    const name = Object.hasOwn(names, path) ? names[path] : undefined;
    return { path: name !== undefined && headers.has(name) ? name : path, message };
  });
  return new ServiceError(error.code, {
    ...(error.detail !== undefined && { detail: error.detail }),
    ...error.facts,
    errors,
  });
}
