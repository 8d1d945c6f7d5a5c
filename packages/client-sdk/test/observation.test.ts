import { describe, expect, it } from 'vitest';
import { ConnectionError, ForbiddenError, NotFoundError } from '../src/errors.ts';
import type { Observation } from '../src/observation.ts';
import type { ObservationStreamEvent } from '../src/observation-state.ts';
import { quickClient } from './toy/collect.ts';
import { sessionId, toyMessage } from './toy/toy-generations.ts';
import { startToyServer, type CutPlan } from './toy/toy-server.ts';

const pieces = ['one ', 'two ', 'three'];
/** `connected`, the history of two messages, a turn of three pieces, `session-deleted`. */
const eventCount = 1 + 4 + (2 + pieces.length + 1) + 1;
const historyEnd = 5;
const cutPoints = Array.from({ length: eventCount }, (_, index) => index);

async function collect(observation: Observation): Promise<ObservationStreamEvent[]> {
  const events: ObservationStreamEvent[] = [];
  for await (const event of observation) events.push(event);
  return events;
}

const told = (events: readonly ObservationStreamEvent[]) =>
  events.map((event) => (event.type === 'observer' ? event.status : event.type));

const wholeObservation = [
  'connected',
  'history-start',
  'message',
  'message',
  'history-end',
  'message',
  'start',
  'chunk',
  'chunk',
  'chunk',
  'done',
  'session-deleted',
];

describe.each(
  Object.entries({
    'one cut': [],
    'two more before anything comes': [0, 0],
    'three more after one event each': [1, 1, 1],
  }),
)('%s', (_, further) => {
  it.each(cutPoints)('loses and repeats nothing when the first cut is after event %i', async (first) => {
    await using server = await startToyServer();
    server.observation.turn('a', pieces);
    server.observation.append({ type: 'session-deleted', sessionId });
    server.cuts.push(...[first, ...further].map((afterEvents): CutPlan => ({ afterEvents })));
    await using chat = quickClient(server);
    const observation = chat.supervisor.observe(sessionId, { reason: 'why' });
    const events = await collect(observation);
    expect(told(events)).toEqual(wholeObservation);
    const ids = events.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].toSorted());
    expect(observation.state).toMatchObject({ ended: 'session-deleted', messages: [], session: null });
    const calls = server.calls.filter(({ call }) => call === 'ws supervisor.observe');
    expect(calls.every(({ input }) => (input as { reason: string }).reason === 'why')).toBe(true);
    // Nobody looks again once the last event is there.
    expect(calls.length).toBeLessThanOrEqual(2 + further.length);
    if (first > historyEnd) expect(calls[1]?.input).toMatchObject({ lastEventId: ids[first - 1] });
  });
});

describe('an observation', () => {
  it('begins when it is iterated, knows the session at each event, and goes on while things happen', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const observation = chat.supervisor.observe(sessionId);
    expect(server.calls).toEqual([]);
    const reader = observation[Symbol.asyncIterator]();
    for (let event = 0; event < historyEnd; event += 1) await reader.next();
    expect(observation.state).toMatchObject({ status: 'idle', observers: 1, user: { id: 'u' }, history: null });
    expect(observation.state.messages.map(({ content }) => content)).toEqual(['stored 0', 'stored 1']);
    server.observation.turn('a', pieces);
    for (let event = 0; event < 4; event += 1) await reader.next();
    expect(observation.state.messages.at(-1)).toMatchObject({ id: 'a', content: 'one two ', status: 'streaming' });
    await reader.next();
    await reader.next();
    expect(observation.state.messages.at(-1)).toMatchObject({ content: 'one two three', status: 'complete' });
    await reader.return();
  });

  it('is told anew where its place cannot be served any more, and ends in the same messages', async () => {
    await using server = await startToyServer();
    server.observation.forgetful = true;
    server.observation.turn('a', pieces);
    server.observation.append({ type: 'message-deleted', messageId: 'm0' });
    // In the middle of the answer: all that comes then has lower ids.
    server.cuts.push({ afterEvents: 9 });
    await using chat = quickClient(server);
    const observation = chat.supervisor.observe(sessionId);
    const seen: string[] = [];
    for await (const event of observation) {
      seen.push(...told([event]));
      if (event.type === 'message-deleted') break;
    }
    expect(seen).toEqual([...wholeObservation.slice(0, 9), ...wholeObservation.slice(1, 11), 'message-deleted']);
    expect(observation.state.messages.map(({ content }) => content)).toEqual(['stored 1', 'Hi', 'one two three']);
  });

  it('tells of a reconnect only what is new', async () => {
    await using server = await startToyServer();
    server.observation.turn('a', pieces);
    server.cuts.push({ afterEvents: 8 }, { afterEvents: 2 });
    await using chat = quickClient(server);
    const reconnects: number[] = [];
    const observation = chat.supervisor.observe(sessionId, {
      onReconnecting: (attempt) => {
        reconnects.push(attempt);
        if (reconnects.length === 2) server.observation.observers = 3;
      },
    });
    const seen: ObservationStreamEvent[] = [];
    for await (const event of observation) {
      seen.push(event);
      if (event.type === 'done') break;
    }
    expect(told(seen)).toEqual([...wholeObservation.slice(0, 9), 'connected', ...wholeObservation.slice(9, 11)]);
    expect(observation.state.observers).toBe(3);
    expect(reconnects).toEqual([1, 1]);
  });

  it('goes on from what an earlier one knew', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    server.observation.turn('a', ['x']);
    const first = chat.supervisor.observe(sessionId);
    for await (const { type } of first) if (type === 'start') break;
    const second = chat.supervisor.observe(sessionId, { state: first.state });
    const seen: ObservationStreamEvent[] = [];
    for await (const event of second) {
      seen.push(event);
      if (event.type === 'done') break;
    }
    expect(told(seen)).toEqual(['connected', 'chunk', 'done']);
    expect(second.state.messages.map(({ content }) => content)).toEqual(['stored 0', 'stored 1', 'Hi', 'x']);
  });

  it.each(['role', 'unavailable', 'token'] as const)('ends after the last word of the server: %s', async (reason) => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const observation = chat.supervisor.observe(sessionId);
    const reading = collect(observation);
    await expect.poll(() => server.calls.length).toBe(1);
    server.observation.end(reason);
    expect((await reading).at(-1)).toMatchObject({ type: 'observer', status: 'ended', reason });
    expect(observation.state.ended).toBe(reason);
    expect(server.calls).toHaveLength(1);
  });

  it('goes on with a new token where there is one, however often', async () => {
    await using server = await startToyServer();
    let issued = 0;
    await using chat = quickClient(server, { token: () => `t${(issued += 1)}` });
    const observation = chat.supervisor.observe(sessionId);
    const seen: ObservationStreamEvent[] = [];
    const reading = (async () => {
      for await (const event of observation) {
        seen.push(event);
        if (event.type === 'done') return;
      }
    })();
    for (let token = 1; token <= 5; token += 1) {
      await expect.poll(() => server.calls.length).toBe(token);
      expect(server.calls.at(-1)?.token).toBe(`t${token}`);
      if (token < 5) server.observation.end('token');
    }
    server.observation.turn('a', pieces);
    await reading;
    expect(told(seen)).toEqual(wholeObservation.slice(0, 11));
  });

  it('is refused to a user, and waits for its turn where too many ask at once', async () => {
    await using server = await startToyServer();
    server.refusals.set('supervisor.observe', [
      { code: 'RATE_LIMITED', status: 429, retryAfter: 0 },
      { code: 'FORBIDDEN', status: 403 },
    ]);
    await using chat = quickClient(server);
    await expect(collect(chat.supervisor.observe(sessionId))).rejects.toBeInstanceOf(ForbiddenError);
    expect(server.calls).toHaveLength(2);
  });

  it('ends as deleted when the session is gone by the time it comes back', async () => {
    await using server = await startToyServer();
    server.cuts.push({ afterEvents: historyEnd });
    const refuse = () => server.refusals.set('supervisor.observe', [{ code: 'NOT_FOUND', status: 404 }]);
    await using chat = quickClient(server);
    const observation = chat.supervisor.observe(sessionId, { onReconnecting: refuse });
    const events = await collect(observation);
    expect(told(events)).toEqual([...wholeObservation.slice(0, historyEnd), 'session-deleted']);
    expect(observation.state).toMatchObject({ ended: 'session-deleted', messages: [] });
    refuse();
    await expect(collect(chat.supervisor.observe(sessionId))).rejects.toBeInstanceOf(NotFoundError);
  });

  it('is given up after as many attempts as it may make', async () => {
    await using server = await startToyServer();
    server.cuts.push({ afterEvents: 3 }, ...Array.from({ length: 20 }, () => ({ afterEvents: 0 })));
    await using chat = quickClient(server, { maxReconnects: 4 });
    await expect(collect(chat.supervisor.observe(sessionId))).rejects.toBeInstanceOf(ConnectionError);
    expect(server.opened()).toBe(5);
  });

  it('lets go of the session while its reader is far behind, and misses nothing', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const turns = 500;
    for (let turn = 0; turn < turns; turn += 1) server.observation.turn(`a${turn}`, ['x', 'y']);
    const reader = chat.supervisor.observe(sessionId)[Symbol.asyncIterator]();
    const seen = [(await reader.next()).value];
    // Without a reader all of it would wait: what is not taken is not asked for.
    await expect.poll(() => server.observation.open()).toBe(0);
    expect(server.calls).toHaveLength(1);
    server.observation.append({ type: 'session-deleted', sessionId });
    for (let result = await reader.next(); result.done !== true; result = await reader.next()) seen.push(result.value);
    const events = seen.filter((event) => event !== undefined);
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    expect(events.filter(({ type }) => type === 'done')).toHaveLength(turns);
    const texts = events.map((event) => (event.type === 'chunk' ? event.text : '')).join('');
    expect(texts).toBe('xy'.repeat(turns));
    expect(server.calls.length).toBeGreaterThan(1);
  });
});

describe('leaving an observation', () => {
  it('by breaking out of the loop or by disconnecting takes nobody else along', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const staying = chat.supervisor.observe(sessionId);
    const stayed = collect(staying);
    for await (const { type } of chat.supervisor.observe(sessionId)) if (type === 'history-end') break;
    const leaving = chat.supervisor.observe(sessionId);
    const left = collect(leaving);
    await expect.poll(() => server.calls.length).toBe(3);
    leaving.disconnect();
    await left;
    server.observation.append({ type: 'session-deleted', sessionId });
    expect(told(await stayed).at(-1)).toBe('session-deleted');
    expect(server.opened()).toBe(1);
    await expect(collect(leaving)).rejects.toThrow('once');
  });

  it('by a signal ends with its reason', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const controller = new AbortController();
    const reading = collect(chat.supervisor.observe(sessionId, { signal: controller.signal }));
    await expect.poll(() => server.calls.length).toBe(1);
    const reason = new Error('page left');
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await expect(collect(chat.supervisor.observe(sessionId, { signal: controller.signal }))).rejects.toBe(reason);
    expect(server.calls).toHaveLength(1);
  });
});

describe('a supervisor', () => {
  it('reads users, their sessions and the audit log page by page', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const ids = async (list: AsyncIterable<{ id: string }>) => {
      const found: string[] = [];
      for await (const { id } of list) found.push(id);
      return found;
    };
    const all = ['s0', 's1', 's2', 's3', 's4', 's5', 's6'];
    expect(await ids(chat.supervisor.users.search({ query: 'ali', limit: 3, reason: 'why' }))).toEqual(all);
    expect(server.calls.at(-1)?.input).toEqual({ query: 'ali', limit: 3, reason: 'why', cursor: '6' });
    expect(await ids(chat.supervisor.sessions('u', { reason: 'why' }))).toEqual(all);
    expect(server.calls.at(-1)?.input).toEqual({ userId: 'u', reason: 'why', cursor: '6' });
    expect(await ids(chat.supervisor.auditLog())).toEqual(all);
    const { session, user } = await chat.supervisor.session('u', sessionId, { messageLimit: 5 });
    expect({ session: session.id, user: user.id }).toEqual({ session: sessionId, user: 'u' });
    expect(await chat.supervisor.live()).toEqual({ sessions: [] });
  });

  it('stops an answer once: a repeat could stop the next one', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const { message } = await chat.supervisor.stop(sessionId, { reason: 'why' });
    expect(message).toMatchObject({ ...toyMessage(message.id, 'half', 'stopped') });
    server.refusals.set('supervisor.stop', [{ code: 'UNAVAILABLE', status: 503, retryAfter: 0 }]);
    await expect(chat.supervisor.stop(sessionId)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(server.calls).toHaveLength(2);
  });
});
