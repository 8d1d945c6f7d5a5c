import { createRouteTable, parametersOf } from '@chat-service/server/transports/rest/route-table';
import { declaredRouter } from '../../../packages/server/test/support/declared-router.ts';
import { callOverHttp } from './raw-http.ts';
import { openRawSocket } from './raw-socket.ts';
import { callRest } from './rest.ts';
import type { World } from './world.ts';

export type Door = 'rest' | 'http' | 'websocket';

/** The doors of a procedure; a subscription over HTTP is an event source, which is told of refusals inside its stream. */
export const doorsOf = (type: string): readonly Door[] =>
  type === 'subscription' ? ['rest', 'websocket'] : ['rest', 'http', 'websocket'];

export interface NamedCall {
  /** Dotted path of the procedure. */
  readonly path: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly token: string | null;
  /** @default the world's own server */
  readonly url?: string;
}

/** What was told, as it came, but for what differs with each request. */
export interface Told {
  readonly ok: boolean;
  readonly text: string;
  readonly result: unknown;
  /** `code`, `errors` and the like of a refusal, whichever door it came through. */
  readonly refusal: Readonly<Record<string, unknown>> | null;
}

const routes = new Map(createRouteTable(declaredRouter).routes.map((route) => [route.procedure, route]));

/** Calls a procedure over one of the doors. Of a subscription it is told what comes first; over REST only a refusal ends. */
export async function callOver(world: World, door: Door, call: NamedCall): Promise<Told> {
  const route = routes.get(call.path);
  if (route === undefined) throw new Error(`there is no ${call.path}`);
  const { path, input, token, url = world.url } = call;
  if (door === 'http') {
    const { type } = route;
    if (type === 'subscription') throw new Error('a subscription has two doors here');
    const { text, result, refusal } = await callOverHttp(url, { type, path, input, token });
    return { ok: refusal === undefined, text: anonymous(text), result, refusal: refusal ?? null };
  }
  if (door === 'websocket') {
    await using socket = await openRawSocket(url, { token });
    const reply = await socket.call(route.type, path, input);
    const refusal = reply.error?.json.data ?? null;
    return { ok: refusal === null, text: anonymous(JSON.stringify(reply)), result: reply.result?.data?.json, refusal };
  }
  const { method, path: pattern } = route.declaration;
  const target = pattern.replaceAll(/\{(\w+)\}/gu, (_, name: string) => encodeURIComponent(String(input[name])));
  const others = Object.entries(input).filter(([name]) => !parametersOf(pattern).includes(name));
  const takesBody = method === 'POST' || method === 'PATCH';
  const query = new URLSearchParams(others.map(([name, value]): [string, string] => [name, String(value)]));
  const { status, text, body } = await callRest<Record<string, unknown>>(
    world,
    `${method} ${target}${takesBody || query.size === 0 ? '' : `?${query.toString()}`}`,
    {
      ...(call.url !== undefined && { url: call.url }),
      sub: null,
      ...(token !== null && { token }),
      ...(takesBody && { body: Object.fromEntries(others) }),
    },
  );
  const ok = status < 400;
  return { ok, text: anonymous(text), result: ok ? body : undefined, refusal: ok ? null : body };
}

function anonymous(text: string): string {
  return text.replaceAll(/"requestId":"[^"]+"/gu, '"requestId":""');
}
