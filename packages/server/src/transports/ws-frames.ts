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

/** Calls are answered however many they are; of messages that are none, to answer each would cost more than the frame. */
const maxOthers = 5000;
/** Of ids and paths, which replies repeat: a frame's calls answer side by side, refusals one after the other. */
const maxNameLength = 200;

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
  const isTooLarge = frame.length > limits.maxBytes;
  const left = { calls: limits.maxCalls, subscriptions: limits.maxSubscriptions };
  let others = 0;
  const messages: Incoming[] = [];
  for (const raw of Array.isArray(parsed) ? (parsed as unknown[]) : [parsed]) {
    if (isCall(raw)) {
      messages.push(readCall(raw, limits, isTooLarge, left));
      continue;
    }
    others += 1;
    if (others <= maxOthers) messages.push(readOther(raw));
    else if (others === maxOthers + 1) messages.push(refused(null, null, 'The frame holds too many messages.'));
  }
  return messages;
}

/** `left` is what the frame may still hold, and is made less by this one. */
function readCall(
  { id, jsonrpc, method, params }: RawCall,
  limits: FrameLimits,
  isTooLarge: boolean,
  left: Record<'calls' | 'subscriptions', number>,
): Incoming {
  if (!isRecord(params) || (jsonrpc !== undefined && jsonrpc !== '2.0')) return refused(id, null, notOfTheProtocol);
  const { path, lastEventId } = params;
  if (
    typeof path !== 'string' ||
    (lastEventId !== undefined && lastEventId !== null && typeof lastEventId !== 'string')
  ) {
    return refused(id, null, notOfTheProtocol);
  }
  if (isTooLarge) return refused(id, path, `A frame may have at most ${limits.maxBytes} bytes.`, 'PAYLOAD_TOO_LARGE');
  if (String(id).length > maxNameLength) return refused(id, path, `An id has at most ${maxNameLength} characters.`);
  if (path.length > maxNameLength) return refused(id, path, undefined, 'NOT_FOUND');
  const budget = method === 'subscription' ? 'subscriptions' : 'calls';
  if (left[budget] === 0) {
    const most = budget === 'calls' ? limits.maxCalls : limits.maxSubscriptions;
    return refused(id, path, `A frame holds at most ${most} ${budget}.`);
  }
  left[budget] -= 1;
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

function readOther(raw: unknown): Incoming {
  if (!isRecord(raw)) return refused(null, null, 'A message has to be an object.');
  const { id, method, data } = raw;
  if (method === 'connectionParams') return { kind: 'connection-params', params: isRecord(data) ? data : {} };
  if (!isCallId(id)) return refused(null, null, 'A message needs an id, a string or a number.');
  if (method === 'subscription.stop') return { kind: 'stop', message: { id, method } };
  return refused(id, null, notOfTheProtocol);
}

const notOfTheProtocol = 'The message is not one of the tRPC protocol.';
/** One error for all that are refused for the same reason: a frame may hold many, which may wait long. */
const reasons = new Map<string, ServiceError>();

function refused(
  id: CallId | null,
  path: string | null,
  detail?: string,
  code: 'BAD_REQUEST' | 'NOT_FOUND' | 'PAYLOAD_TOO_LARGE' = 'BAD_REQUEST',
): Incoming {
  const reason = `${code} ${detail ?? ''}`;
  let error = reasons.get(reason);
  if (error === undefined) {
    error = new ServiceError(code, detail === undefined ? {} : { detail });
    reasons.set(reason, error);
  }
  return { kind: 'refused', id, path, error };
}

interface RawCall extends Record<string, unknown> {
  readonly id: CallId;
  readonly method: CallType;
}

function isCall(raw: unknown): raw is RawCall {
  return isRecord(raw) && isCallId(raw['id']) && isCallType(raw['method']);
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
