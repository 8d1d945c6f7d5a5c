import superjson from 'superjson';
import { ServiceError } from '../platform/service-error.ts';
import { hasProtoKey } from './forbidden-keys.ts';

/**
 * What clients send is JSON with `undefined` in it and nothing more. superjson would also build BigInts, regular
 * expressions, maps and errors from the wire, some of them at a price the sender sets; no input of ours has one.
 * References shared between two places come with both copies, so their annotation is left out.
 * @throws ServiceError `BAD_REQUEST`
 */
export function deserializeInput(payload: unknown): unknown {
  if (payload === undefined || payload === null) return undefined;
  if (!isRecord(payload)) throw unreadable();
  const { json, meta } = payload;
  if (hasProtoKey(json)) throw unreadable();
  if (meta === undefined || meta === null) return json;
  if (!isRecord(meta)) throw unreadable();
  const { values, v } = meta;
  if (values === undefined) return json;
  try {
    if (!isUndefinedOnly(values)) throw unreadable();
    // superjson's own types know its annotations only as what it wrote itself; this one was checked above.
    const annotated = { json, meta: { values, v } };
    return superjson.deserialize(annotated as Parameters<typeof superjson.deserialize>[0], { inPlace: true });
  } catch (error) {
    throw error instanceof ServiceError ? error : unreadable(error);
  }
}

/** superjson's annotations: `[type]`, `[type, children]`, or children by path. */
function isUndefinedOnly(annotation: unknown): boolean {
  if (Array.isArray(annotation)) return annotation.length === 1 && annotation[0] === 'undefined';
  return isRecord(annotation) && Object.values(annotation).every(isUndefinedOnly);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unreadable(cause?: unknown): ServiceError {
  return new ServiceError('BAD_REQUEST', {
    detail: 'The input is not JSON in the form that superjson gives plain values.',
    cause,
  });
}
