import { describe, expect, it } from 'vitest';
import type { PayloadMode } from '../../src/platform/logger.ts';
import { eventually } from '../support/eventually.ts';
import { call, rawSocket, reply } from './sockets.ts';
import { createWorld } from './world.ts';

const text = 'canary of some length';

const expected: Record<PayloadMode, unknown> = {
  none: undefined,
  redacted: { text: `text(${text.length})` },
  full: { text },
};

describe.each(['none', 'redacted', 'full'] as const)('the log with payloads: %s', (payloads) => {
  it('holds the input of a call over HTTP and WebSocket as it is configured', async () => {
    await using world = await createWorld({ payloads });
    await world.post('/trpc/write', { json: { text } });
    const socket = await rawSocket(world, { token: world.token });
    socket.send(call(1, 'mutation', 'write', { text }));
    await reply(socket, 1);
    await eventually(() =>
      expect(world.requests().filter(({ route }) => String(route).includes('write'))).toHaveLength(2),
    );
    const lines = world.requests().filter(({ route }) => String(route).includes('write'));
    expect(lines.map(({ input }) => input)).toEqual([expected[payloads], expected[payloads]]);
    expect(JSON.stringify(world.lines).includes(text)).toBe(payloads === 'full');
  });

  it('holds those of a batch in their order, and nothing of a stranger', async () => {
    await using world = await createWorld({ payloads });
    const batch = { 0: { json: { text } }, 1: { json: { text } } };
    await world.post('/trpc/write,write?batch=1', batch);
    await world.post('/trpc/write', { json: { text } }, { authorization: 'Bearer nobody' });
    await eventually(() => expect(world.requests()).toHaveLength(2));
    const [known, stranger] = world.requests();
    expect(known?.['input']).toEqual(payloads === 'none' ? undefined : [expected[payloads], expected[payloads]]);
    expect(stranger).not.toHaveProperty('input');
  });
});
