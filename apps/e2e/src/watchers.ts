import { createChatClient } from '@chat-service/client-sdk';
import { collect, type Collected } from './collect.ts';
import type { ConnectionList, RecordedConnection } from './connection-list.ts';
import { createRecordedSockets } from './recorded-sockets.ts';
import { openSseClient } from './sse-client.ts';
import { openTrpcClient } from './trpc-client.ts';
import type { World } from './world.ts';

export interface SendInput {
  readonly sessionId: string;
  readonly message: string;
  readonly idempotencyKey: string;
}

/** A client that sends one message and watches the answer over connections that can be cut. */
export interface Watcher extends AsyncDisposable, ConnectionList<RecordedConnection> {
  cut(): void;
  /** Reads nothing more from the current connection; not every kind can. */
  deafen?(): void;
  send(input: SendInput): Promise<Collected>;
}

export interface WatcherKind {
  readonly name: string;
  /** Whether sending and watching are one subscription, so that it is the connection that starts the generation. */
  readonly startsByWatching: boolean;
  /** Whether it survives a first connection that opens and is lost before anything could be asked on it. */
  readonly survivesLostFirst: boolean;
  /** Whether its connections can stop to read. */
  readonly canDeafen: boolean;
  open(world: World, user: string): Watcher;
}

const stockStream: WatcherKind = {
  name: 'stock: stream',
  startsByWatching: true,
  survivesLostFirst: false,
  canDeafen: true,
  open(world, user) {
    const client = openTrpcClient(world.url, () => world.token(user));
    const send = async (input: SendInput) => {
      return collect((subscriber) => client.trpc.message.stream.subscribe(input, subscriber));
    };
    return { ...client, send, deafen: () => client.sockets.at(-1)?.pause() };
  },
};

const stockFollow: WatcherKind = {
  name: 'stock: start, follow',
  startsByWatching: false,
  survivesLostFirst: false,
  canDeafen: true,
  open(world, user) {
    const client = openTrpcClient(world.url, () => world.token(user));
    const { message } = client.trpc;
    const send = async ({ sessionId, ...rest }: SendInput) => {
      const { streamId } = await message.start.mutate({ sessionId, ...rest });
      return collect((subscriber) => message.follow.subscribe({ sessionId, streamId }, subscriber));
    };
    return { ...client, send, deafen: () => client.sockets.at(-1)?.pause() };
  },
};

const stockEventSource: WatcherKind = {
  name: 'stock: follow over SSE',
  startsByWatching: false,
  survivesLostFirst: false,
  canDeafen: false,
  open(world, user) {
    const { trpc, ...connections } = openSseClient(world.url, () => world.token(user));
    const { message } = trpc;
    let collected: Collected | undefined;
    return {
      ...connections,
      async send({ sessionId, ...rest }) {
        const { streamId } = await message.start.mutate({ sessionId, ...rest });
        collected = collect((subscriber) => message.follow.subscribe({ sessionId, streamId }, subscriber));
        return collected;
      },
      async [Symbol.asyncDispose]() {
        collected?.unsubscribe();
      },
    };
  },
};

const sdk: WatcherKind = {
  name: 'SDK',
  startsByWatching: true,
  survivesLostFirst: true,
  canDeafen: true,
  open(world, user) {
    const { WebSocket, terminate, ...recorded } = createRecordedSockets();
    const client = createChatClient({
      url: world.url,
      token: () => world.token(user),
      WebSocket,
      retryDelayMs: () => 5,
    });
    return {
      ...recorded,
      deafen: () => recorded.sockets.at(-1)?.pause(),
      async send(input) {
        const stream = client.messages.stream(input);
        return collect(({ onData, onError, onComplete }) => {
          stream.on('event', ({ id, ...event }) => onData({ id, data: event }));
          stream.finalMessage().then(onComplete, onError);
          return { unsubscribe: () => stream.disconnect() };
        });
      },
      async [Symbol.asyncDispose]() {
        await client.close();
        terminate();
      },
    };
  },
};

export const watcherKinds: readonly WatcherKind[] = [stockStream, stockFollow, stockEventSource, sdk];
