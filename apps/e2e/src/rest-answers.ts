import type { GenerationEvent } from '@chat-service/shared/events';
import type { Message } from '@chat-service/shared/objects';
import { expect } from 'vitest';
import type { FakePlan } from './fake-openai.ts';
import { callRest, openRestStream, type RestRequest, type RestStream } from './rest.ts';
import type { World } from './world.ts';

/** What a model says where a test does not say otherwise. */
export const chunks = ['one', ' two', ' three'];
/** The events of such an answer. */
export const all = ['start', 'chunk', 'chunk', 'chunk', 'done'];

export type AnswerStream = RestStream<GenerationEvent>;
export const namesOf = ({ events }: AnswerStream) => events.map(({ name }) => name);
export const idsOf = ({ events }: AnswerStream) => events.map(({ id }) => id);
export const textOf = ({ events }: AnswerStream) =>
  events.map(({ data }) => (data.type === 'chunk' ? data.text : '')).join('');

let count = 0;

/** Somebody new with an empty session, and a message that no other test sends. */
export async function newcomer(world: World, plan: FakePlan = {}) {
  count += 1;
  const sub = `reader-${count}`;
  const message = `Question <${count}>`;
  world.openai.script(message, { chunks, ...plan });
  const { body } = await callRest<{ sessionId: string }>(world, 'POST /api/chat/sessions', { sub, body: {} });
  const { sessionId } = body;
  const path = `/api/chat/sessions/${sessionId}`;
  const open = (method: 'GET' | 'POST', request: RestRequest & { query?: string } = {}): Promise<AnswerStream> =>
    openRestStream<GenerationEvent>(world, `${method} ${path}/stream${request.query ?? ''}`, { sub, ...request });
  const call = <Body>(target: string, request: RestRequest = {}) => {
    const [method = '', rest = ''] = target.split(' ');
    return callRest<Body>(world, `${method} ${path}${rest}`, { sub, ...request });
  };
  const messages = async () => (await call<{ messages: Message[] }>('GET /messages')).body.messages;
  const calls = () => world.openai.calls.filter(({ lastUserMessage }) => lastUserMessage === message).length;
  return { sub, message, sessionId, open, call, messages, calls };
}

/** The same, with an answer that has been streamed to its end. */
export async function answered(world: World, plan?: FakePlan) {
  const user = await newcomer(world, plan);
  const stream = await user.open('POST', { body: { message: user.message } });
  expect(await stream.over).toBe('ended');
  return { ...user, stream, streamId: stream.events[0]?.data.type === 'start' ? stream.events[0].data.streamId : '' };
}
