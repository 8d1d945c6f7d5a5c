import { createRouteTable, parametersOf } from '@chat-service/server/transports/rest/route-table';
import { declaredRouter } from '../../../packages/server/test/support/declared-router.ts';
import { readFirstEvent } from './first-event.ts';
import { callOverHttp } from './raw-http.ts';
import { openRawSocket } from './raw-socket.ts';
import { callRest } from './rest.ts';
import type { World } from './world.ts';

export type Door = 'rest' | 'http' | 'websocket';

export const doors: readonly Door[] = ['rest', 'http', 'websocket'];

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

/** Calls a procedure over one of the doors. Of a subscription it is told what comes first, and leaves. */
export async function callOver(world: World, door: Door, call: NamedCall): Promise<Told> {
  const route = routes.get(call.path);
  if (route === undefined) throw new Error(`there is no ${call.path}`);
  const { path, input, token, url = world.url } = call;
  if (door === 'http') {
    const { type } = route;
    if (type === 'subscription') return sourceOver(url, { path, input, token });
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
  if (route.type === 'subscription') {
    const { status, text, data } = await readFirstEvent(`${url}${target}?${query.toString()}`, token);
    const isRefused = status >= 400;
    const refusal = isRefused ? (JSON.parse(text) as Record<string, unknown>) : null;
    return { ok: !isRefused, text: anonymous(text), result: data, refusal };
  }
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

/** An event source is told of a refusal inside its stream: it could not read a status. */
async function sourceOver(url: string, { path, input, token }: Omit<NamedCall, 'url'>): Promise<Told> {
  const asked = encodeURIComponent(JSON.stringify({ json: input }));
  const { text, data, error } = await readFirstEvent(`${url}/trpc/${path}?input=${asked}`, token);
  const refused = error as { readonly json: { readonly data: Record<string, unknown> } } | null;
  const result = (data as { readonly json: unknown } | null)?.json;
  return { ok: refused === null, text: anonymous(text), result, refusal: refused?.json.data ?? null };
}

function anonymous(text: string): string {
  return text.replaceAll(/"requestId":"[^"]+"/gu, '"requestId":""');
}
