import type { Authenticate } from '../clients/auth/principal.ts';
import type { Clock } from '../platform/clock.ts';
import type { Authentication } from '../trpc/context.ts';
import { endOfToken, judgeToken, unauthenticated } from './credentials.ts';
import { at } from '../platform/deadline.ts';

export interface WsAuthenticationOptions {
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  /** A socket that has shown no token within so many milliseconds is closed. */
  readonly webSocketAuthMs: number;
  /** The connection has no reason to stay; why, for people. */
  readonly onStranger: (reason: string) => void;
  /** A valid token of this user has been shown. */
  readonly onVerified: (userId: string) => void;
  /** The token has ended. */
  readonly onExpired: () => void;
}

/** Who is at the other end of a connection, and for how long. */
export interface WsAuthentication {
  /** Null until a token has been judged. */
  readonly state: Authentication | null;
  /** What calls made now run under. */
  readonly effective: Authentication;
  /** Set while a token is judged; what is said meanwhile has to wait for it. */
  readonly judging: Promise<void> | null;
  /** Judges the token in connection parameters. */
  present(params: Record<string, unknown>): void;
  /** Judges the same token again, where the last time there was no key to judge it by; false where there is no point. */
  retry(): boolean;
  /** Counts as a sign of life. */
  called(): void;
  stop(): void;
}

/** A connection that was refused stays, so that each call can be told why; without calls it has no reason to. */
const refusedIdleMs = 60_000;

export function createWsAuthentication(options: WsAuthenticationOptions): WsAuthentication {
  const { authenticate, clock, onStranger, onVerified, onExpired } = options;
  let token: string | null = null;
  let state: Authentication | null = null;
  let judging: Promise<void> | null = null;
  let lastCallAt = clock.now();
  let stopped = false;
  const cancelDeadline = clock.after(options.webSocketAuthMs, () => onStranger('no token was shown in time'));
  let cancelEnd = () => {};

  async function judge(): Promise<void> {
    const judged = await judgeToken(authenticate, token);
    state = judged;
    judging = null;
    if (stopped) return;
    if (judged.status === 'verified') onVerified(judged.principal.userId);
    cancelEnd();
    const end = endOfToken(judged);
    if (end === null) watchIdle();
    else cancelEnd = at(clock, end, onExpired);
  }

  function watchIdle() {
    cancelEnd = at(clock, lastCallAt + refusedIdleMs, () => {
      if (clock.now() - lastCallAt >= refusedIdleMs) onStranger('no valid token');
      else watchIdle();
    });
  }

  return {
    get state() {
      return state;
    },
    get effective() {
      return state ?? unauthenticated;
    },
    get judging() {
      return judging;
    },
    present(params) {
      const given = params['token'];
      token = typeof given === 'string' && given !== '' ? given : null;
      cancelDeadline();
      judging = judge();
    },
    retry() {
      if (state?.status !== 'refused' || state.error.code !== 'AUTH_UNAVAILABLE') return false;
      judging = judge();
      return true;
    },
    called() {
      lastCallAt = clock.now();
    },
    stop() {
      stopped = true;
      cancelDeadline();
      cancelEnd();
    },
  };
}
