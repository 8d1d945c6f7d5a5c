import type { Principal } from '../clients/auth/principal.ts';
import type { LiveSink } from '../platform/live-sink.ts';
import type { ServiceError } from '../platform/service-error.ts';
import type { Outbound } from './pacing.ts';

/** Who asks. A failed authentication is carried here and thrown, typed, by the procedure: a context that throws makes clients reconnect for ever. */
export type Authentication =
  | {
      readonly status: 'verified';
      readonly principal: Principal;
      /** Never stored or logged. */ readonly token: string;
    }
  | { readonly status: 'refused'; readonly error: ServiceError };

/** What a procedure knows of the request that called it; services arrive by factory arguments instead. */
export interface RequestContext {
  readonly requestId: string;
  readonly authentication: Authentication;
  /** Where the request came from; behind a trusted proxy, what that proxy says. Absent where no network is involved. */
  readonly clientAddress?: string;
  /**
   * Asked once for each call that needs a token: lets it go on, at once or when there is room for it. Absent where the door
   * has counted the call and let it in already.
   * @throws ServiceError `RATE_LIMITED`
   */
  readonly admitCall?: (signal: AbortSignal | undefined) => Promise<void> | void;
  /** The way back to the client where the transport does not pace by itself: results wait for room there. */
  readonly outbound?: Outbound;
  /** The short way to the client for the running subscription; absent where the door has none. */
  readonly liveSink?: LiveSink;
  /** Headers to send with the answer; absent where an answer has none (WebSocket). Late ones of a streamed answer are lost. */
  readonly responseHeaders?: Pick<Headers, 'set'>;
}
