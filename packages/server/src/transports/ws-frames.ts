import { ServiceError } from '../platform/service-error.ts';
import { deserializeInput } from '../trpc/input-transformer.ts';

export type CallType = 'query' | 'mutation' | 'subscription';
export type CallId = string | number;

/** A call as tRPC's own parser takes it, its input already deserialised and wrapped as plain. */
export interface CallMessage {
  readonly id: CallId;
  readonly jsonrpc?: '2.0';
  readonly method: CallType;
  readonly params: { readonly path: string; readonly input: { readonly json: unknown }; readonly lastEventId?: string };
}

export type Incoming =
  | { readonly kind: 'call'; readonly message: CallMessage }
  | { readonly kind: 'stop'; readonly message: { readonly id: CallId; readonly method: 'subscription.stop' } }
  | { readonly kind: 'connection-params'; readonly params: Record<string, unknown> }
  /** To be answered with its error under its id, null where it named none. */
  | {
      readonly kind: 'refused';
      readonly id: CallId | null;
      readonly path: string | null;
      readonly error: ServiceError;
    };

export interface FrameLimits {
  readonly maxBytes: number;
  readonly maxCalls: number;
  readonly maxSubscriptions: number;
}

/** Beyond any client's use: answering each would cost more than the frame. */
const maxMessages = 5000;

/**
 * Reads one text frame: a message or an array of them. Never throws: what cannot be read, is too large or too much is
 * refused message by message, since a client that is cut off for it would come back with the same frame for ever.
 */
export function readFrame(frame: Buffer, limits: FrameLimits): Incoming[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(frame.toString('utf8'));
  } catch {
    return [refused(null, null, 'The frame is not JSON.')];
  }
  const tooLarge = frame.length > limits.maxBytes;
  const left = { calls: limits.maxCalls, subscriptions: limits.maxSubscriptions };
  const messages: unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  if (messages.length > maxMessages) return [refused(null, null, 'The frame holds too many messages.')];
  return messages.map((raw) => {
    const message = readMessage(raw, tooLarge ? limits.maxBytes : null);
    if (message.kind !== 'call') return message;
    const budget = message.message.method === 'subscription' ? 'subscriptions' : 'calls';
    left[budget] -= 1;
    if (left[budget] >= 0) return message;
    const most = budget === 'calls' ? limits.maxCalls : limits.maxSubscriptions;
    return refused(message.message.id, message.message.params.path, `A frame holds at most ${most} ${budget}.`);
  });
}

/** `overLimit` is the limit that the frame exceeds; null where it does not. */
function readMessage(raw: unknown, overLimit: number | null): Incoming {
  if (!isRecord(raw)) return refused(null, null, 'A message has to be an object.');
  const { id, jsonrpc, method, params } = raw;
  if (method === 'connectionParams') {
    return { kind: 'connection-params', params: isRecord(raw['data']) ? raw['data'] : {} };
  }
  if (!isCallId(id)) return refused(null, null, 'A message needs an id, a string or a number.');
  if (method === 'subscription.stop') return { kind: 'stop', message: { id, method } };
  if (!isCallType(method) || !isRecord(params) || (jsonrpc !== undefined && jsonrpc !== '2.0')) {
    return refused(id, null, 'The message is not one of the tRPC protocol.');
  }
  const { path, lastEventId } = params;
  if (
    typeof path !== 'string' ||
    (lastEventId !== undefined && lastEventId !== null && typeof lastEventId !== 'string')
  ) {
    return refused(id, null, 'The message is not one of the tRPC protocol.');
  }
  if (overLimit !== null) {
    const detail = `A frame may have at most ${overLimit} bytes.`;
    return { kind: 'refused', id, path, error: new ServiceError('PAYLOAD_TOO_LARGE', { detail }) };
  }
  try {
    const input = { json: deserializeInput(params['input']) };
    const resumed = typeof lastEventId === 'string' ? { lastEventId } : {};
    const version = jsonrpc === '2.0' ? { jsonrpc: '2.0' as const } : {};
    return { kind: 'call', message: { id, ...version, method, params: { path, input, ...resumed } } };
  } catch (error) {
    if (error instanceof ServiceError) return { kind: 'refused', id, path, error };
    return refused(id, path, 'The input cannot be read.');
  }
}

function refused(id: CallId | null, path: string | null, detail: string): Incoming {
  return { kind: 'refused', id, path, error: new ServiceError('BAD_REQUEST', { detail }) };
}

function isCallId(value: unknown): value is CallId {
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value));
}

function isCallType(value: unknown): value is CallType {
  return value === 'query' || value === 'mutation' || value === 'subscription';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
