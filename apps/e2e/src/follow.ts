import type { AppRouter } from '@chat-service/server/app-router';
import type { TRPCClient } from '@trpc/client';
import { collect, textOf, type Collected, type Received } from './collect.ts';

type FollowInput = Parameters<TRPCClient<AppRouter>['message']['follow']['subscribe']>[0];

/** Watches an answer through the stock client. */
export function follow({ message }: TRPCClient<AppRouter>, input: FollowInput): Collected {
  return collect((subscriber) => message.follow.subscribe(input, subscriber));
}

/** The text that somebody has who had seen `before` and was then sent `events`, before the end told it anew. */
export function textAfter(before: readonly Received[], { events }: Pick<Collected, 'events'>): string {
  return textOf([...before, ...events].filter(({ event }) => event.type !== 'done' && event.type !== 'error'));
}
