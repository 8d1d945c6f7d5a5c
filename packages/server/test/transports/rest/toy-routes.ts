import { z } from 'zod';
import type { RestDeclaration } from '../../../src/trpc/rest-declaration.ts';
import { createRouteTable, type RestRoute } from '../../../src/transports/rest/route-table.ts';
import { userProcedure } from '../../../src/trpc/procedures.ts';
import { trpc } from '../../../src/trpc/trpc.ts';

type Declared = Partial<RestDeclaration> & { readonly path: string };

function declare({ path, ...declared }: Declared) {
  const rest: RestDeclaration = { method: 'GET', operationId: 'toy', tag: 'System', path, ...declared };
  return userProcedure.meta({ summary: 'A toy.', rest });
}

const ids = z.strictObject({ id: z.string(), lastEventId: z.string().nullish() });

/** Things under the paths that the service has, too: shared ones, literal segments beside parameters, several of each. */
export const toyRouter = trpc.router({
  list: declare({ path: '/things' })
    .input(
      z.strictObject({
        limit: z.int().min(1).optional(),
        ratio: z.number().nullish(),
        all: z.boolean().default(false),
        text: z.string().optional(),
      }),
    )
    .query(() => []),
  make: declare({ path: '/things', method: 'POST', status: 201, idempotencyKey: 'optional' })
    .input(z.strictObject({ title: z.string().optional(), idempotencyKey: z.string().optional() }))
    .mutation(() => ({})),
  get: declare({ path: '/things/{id}' })
    .input(z.strictObject({ id: z.string() }).optional())
    .query(() => ({})),
  search: declare({ path: '/things/search' }).query(() => []),
  part: declare({ path: '/things/{id}/parts/{partId}', method: 'DELETE' })
    .input(z.strictObject({ id: z.string(), partId: z.string() }))
    .mutation(() => ({})),
  follow: userProcedure
    .meta({
      summary: 'Follows.',
      rest: [
        { method: 'GET', path: '/things/{id}/stream', operationId: 'follow', tag: 'System' },
        { method: 'POST', path: '/things/{id}/stream', operationId: 'resume', tag: 'System', when: 'resuming' },
      ],
    })
    .input(ids)
    .subscription(async function* () {}),
  stream: declare({ path: '/things/{id}/stream', method: 'POST', idempotencyKey: 'required' })
    .input(ids.extend({ text: z.string().optional(), idempotencyKey: z.string() }))
    .subscription(async function* () {}),
  start: declare({ path: '/things/{id}/stream', method: 'POST', when: 'json', status: 202 })
    .input(z.strictObject({ id: z.string(), text: z.string().optional() }))
    .mutation(() => ({})),
  watch: declare({ path: '/things/{id}/watch', withoutHead: true })
    .input(ids)
    .subscription(async function* () {}),
  elsewhere: userProcedure.query(() => 'behind another door'),
});

export const toyTable = createRouteTable(toyRouter);

export function toyRoute(procedure: string, when?: RestDeclaration['when']): RestRoute {
  const found = toyTable.routes.find((route) => route.procedure === procedure && route.declaration.when === when);
  if (found === undefined) throw new Error(`there is no ${procedure}`);
  return found;
}
