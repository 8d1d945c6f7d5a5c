import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorTable, type ErrorCode } from '@chat-service/shared/errors';
import type { Clock } from '../platform/clock.ts';
import { newRequestId } from '../platform/ids.ts';
import { payloadForLog, type Logger, type PayloadMode } from '../platform/logger.ts';
import type { ServiceError } from '../platform/service-error.ts';

/** What the log line of one request or call says, filled while it is worked on. */
export interface RequestRecord {
  readonly requestId: string;
  readonly startedAt: number;
  /** Path or procedure path; never a query string. */
  route: string;
  userId: string | null;
  /** Calls in the batch; null where there is none. */
  batchSize: number | null;
  /** The first error answered. */
  code: ErrorCode | null;
  /** The inputs of its calls, as the log may hold them. */
  readonly inputs: unknown[];
  /** Takes the input of a call whose caller is known. */
  readonly noteInput: (input: unknown) => void;
}

export interface RecordOptions {
  readonly clock: Clock;
  /** What the log holds of inputs. */
  readonly payloads: PayloadMode;
}

/** Longer routes are nobody's, and paths are written by clients. */
const maxRouteLength = 200;
const validRequestId = /^[A-Za-z0-9._-]{1,128}$/u;

/** The client's own request id where it is a valid one, otherwise a new one. */
export function requestIdFrom(header: string | string[] | undefined): string {
  return typeof header === 'string' && validRequestId.test(header) ? header : newRequestId();
}

export function newRecord(requestId: string, route: string, { clock, payloads }: RecordOptions): RequestRecord {
  const inputs: unknown[] = [];
  const noteInput = (input: unknown) => {
    const noted = payloadForLog(input, payloads);
    if (noted !== undefined) inputs.push(noted);
  };
  return { requestId, startedAt: clock.now(), route, userId: null, batchSize: null, code: null, inputs, noteInput };
}

/** The one line of a request. Of what a client sends it has method, path, a valid request id, and inputs as they were noted. */
export function logRequest(
  logger: Logger,
  clock: Clock,
  record: RequestRecord,
  { door, method, status }: { door: 'http' | 'websocket'; method: string; status: number },
): void {
  const { requestId, userId, batchSize, code, inputs } = record;
  const fields = {
    requestId,
    userId,
    door,
    method,
    route: record.route.slice(0, maxRouteLength),
    status,
    durationMs: Math.max(0, clock.now() - record.startedAt),
    ...(batchSize !== null && { batchSize }),
    ...(code !== null && { code }),
    ...(inputs.length > 0 && { input: inputs.length === 1 ? inputs[0] : inputs }),
  };
  logger.info(fields, 'request');
}

/** Logs what stands behind an error under its request id: bugs as errors with their stack, failures of others as warnings. */
export function logCause(logger: Logger, error: ServiceError, requestId: string, route: string): void {
  const fields = { requestId, route: route.slice(0, maxRouteLength), code: error.code, err: error.cause ?? error };
  if (error.code === 'INTERNAL') logger.error(fields, 'request failed');
  else if (error.cause !== undefined && errorTable[error.code].status >= 500) logger.warn(fields, 'request failed');
}

/** The status that is logged for a client that left before its answer was complete. */
const clientClosedRequest = 499;

const records = new WeakMap<IncomingMessage, RequestRecord>();

/** Opens the record of an HTTP request, answers its id, and logs its line when the answer has gone out or the client has left. */
export function beginHttpRequest(
  { logger, ...options }: RecordOptions & { readonly logger: Logger },
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): RequestRecord {
  const requestId = requestIdFrom(incoming.headers['x-request-id']);
  const record = newRecord(requestId, pathOf(incoming.url), options);
  records.set(incoming, record);
  outgoing.setHeader('X-Request-Id', requestId);
  outgoing.setHeader('X-Content-Type-Options', 'nosniff');
  outgoing.once('close', () => {
    const status = outgoing.headersSent ? outgoing.statusCode : clientClosedRequest;
    logRequest(logger, options.clock, record, { door: 'http', method: incoming.method ?? '', status });
  });
  return record;
}

/** @throws when `incoming` did not come through the server that opens records. */
export function recordOf(incoming: IncomingMessage): RequestRecord {
  const record = records.get(incoming);
  if (record === undefined) throw new Error('a request without a record');
  return record;
}

/** The path of a request target, without its query. */
export function pathOf(target: string | undefined): string {
  return (target ?? '/').split(/[?#]/u, 1)[0] ?? '/';
}
