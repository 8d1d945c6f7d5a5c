import type { Principal } from '../clients/auth/principal.ts';
import type { ServiceError } from '../platform/service-error.ts';

/** Who asks. A failed authentication is carried here and thrown, typed, by the procedure: a context that throws makes clients reconnect for ever. */
export type Authentication =
  | { readonly status: 'verified'; readonly principal: Principal }
  | { readonly status: 'refused'; readonly error: ServiceError };

/** What a procedure knows of the request that called it; services arrive by factory arguments instead. */
export interface RequestContext {
  readonly requestId: string;
  readonly authentication: Authentication;
}
