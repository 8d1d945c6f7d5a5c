import { createRouteTable, parametersOf, type RestRoute } from '@chat-service/server/transports/rest/route-table';
import { callOverHttp } from './raw-http.ts';
import { callRest } from './rest.ts';
import type { World } from './world.ts';
import { declaredRouter } from '../../../packages/server/test/support/declared-router.ts';

export type Input = Readonly<Record<string, unknown>>;

/** What a door answered, as far as both of them say it. */
export interface Answer {
  readonly status: number;
  /** Null for what has no content. */
  readonly result: unknown;
  readonly refusal: Readonly<Record<string, unknown>> | null;
}

/** Of every procedure that answers once: how it is called over REST. */
export const routes: ReadonlyMap<string, RestRoute> = new Map(
  createRouteTable(declaredRouter)
    .routes.filter(({ type }) => type !== 'subscription')
    .map((route) => [route.procedure, route]),
);

/** An administrator, so that no door is closed to them. */
export interface Caller {
  readonly world: World;
  readonly sub: string;
}

const tokenOf = ({ world, sub }: Caller) => world.token(sub, { role: 'admin' });

/** Calls a procedure by its REST path. Fields that cannot travel there must not be in the input. */
export async function callByRest(caller: Caller, procedure: string, input: Input): Promise<Answer> {
  const route = routes.get(procedure);
  if (route === undefined) throw new Error(`${procedure} is not on the REST door`);
  const { method, path, when } = route.declaration;
  const inPath = new Set(parametersOf(path));
  const { idempotencyKey, ...fields } = input;
  const filled = path.replaceAll(/\{(\w+)\}/gu, (_, name: string) => encodeURIComponent(String(fields[name])));
  const rest = Object.entries(fields).filter(([name]) => !inPath.has(name));
  const hasBody = method === 'POST' || method === 'PATCH';
  const query = hasBody
    ? ''
    : `?${new URLSearchParams(rest.map(([name, value]): [string, string] => [name, String(value)])).toString()}`;
  const answer = await callRest<Record<string, unknown>>(caller.world, `${method} ${filled}${query}`, {
    token: await tokenOf(caller),
    headers: {
      ...(typeof idempotencyKey === 'string' && { 'idempotency-key': idempotencyKey }),
      ...(when === 'json' && { accept: 'application/json' }),
    },
    ...(hasBody && { body: Object.fromEntries(rest) }),
  });
  const isProblem = answer.headers.get('content-type') === 'application/problem+json';
  return { status: answer.status, result: isProblem ? null : answer.body, refusal: isProblem ? answer.body : null };
}

/** The same over tRPC, with the status that REST gives. */
export async function callByTrpc(caller: Caller, procedure: string, input: Input): Promise<Answer> {
  const route = routes.get(procedure);
  if (route === undefined || route.type === 'subscription') throw new Error(`${procedure} does not answer once`);
  const { status = 200 } = route.declaration;
  const token = await tokenOf(caller);
  const answer = await callOverHttp(caller.world.url, { type: route.type, path: procedure, input, token });
  if (answer.refusal !== undefined) return { status: answer.status, result: null, refusal: answer.refusal };
  return { status, result: status === 204 ? null : answer.result, refusal: null };
}
