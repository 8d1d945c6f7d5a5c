/** What a planted file breaks: the rule that must be the only one to report it. `null` means that nothing may. */
export interface Planted {
  readonly path: string;
  readonly rule: string | null;
  readonly source: string;
}

const layers = 'chat-service(layers)';
const server = 'packages/server/src';

function planted(rule: string | null, path: string, ...lines: readonly string[]): Planted {
  return { path, rule, source: `${lines.join('\n')}\n` };
}

/** A file that takes `value` from `specifier` and gives it on changed, so that only the import itself can offend. */
function taking(rule: string | null, path: string, specifier: string, name = 'value'): Planted {
  return planted(rule, path, `import { ${name} } from '${specifier}';`, '', `export const taken = [${name}];`);
}

function takingType(rule: string | null, path: string, specifier: string): Planted {
  return planted(rule, path, `import type { Shape } from '${specifier}';`, '', 'export type Taken = Shape[];');
}

const offered = ['export const value = 1;', 'export interface Shape {', '  readonly size: number;', '}'];
const creating = [...offered, 'export function createPart(): number[] {', '  return [value];', '}'];

/** What the planted files import: a small service in the shape of the real one. None of it offends. */
const surroundings: readonly Planted[] = [
  ...['main', 'app', 'app-router', 'commands/serve', 'trpc/procedures', 'transports/http-server', 'db/database']
    .concat('features/alpha/alpha-router', 'features/alpha/alpha-store', 'features/alpha/do-alpha')
    .concat('features/beta/beta-router', 'features/beta/beta-store', 'features/beta/do-beta')
    .concat('features/messages/send-message', 'features/supervision/observe', 'features/models/list-models')
    .concat('config/config', 'platform/clock', 'clients/auth/auth')
    .map((file) => planted(null, `${server}/${file}.ts`, ...creating)),
  planted(null, 'packages/shared/src/objects.ts', ...offered),
  planted(null, 'packages/client-sdk/src/chat-client.ts', ...offered),
];

const direction: readonly Planted[] = [
  taking(layers, `${server}/features/alpha/uses-router-of-other.ts`, '../beta/beta-router.ts'),
  taking(layers, `${server}/features/alpha/uses-store-of-other.ts`, '../beta/beta-store.ts'),
  takingType(layers, `${server}/features/alpha/uses-type-of-store-of-other.ts`, '../beta/beta-store.ts'),
  taking(
    layers,
    `${server}/features/alpha/uses-store-by-package-name.ts`,
    '@chat-service/server/features/beta/beta-store',
  ),
  taking(layers, `${server}/features/alpha/uses-router-beside-it.ts`, './alpha-router.ts'),
  taking(layers, `${server}/features/alpha/uses-trpc-folder.ts`, '../../trpc/procedures.ts'),
  taking(layers, `${server}/features/alpha/uses-trpc-package.ts`, '@trpc/server', 'TRPCError'),
  taking(layers, `${server}/features/alpha/uses-transport.ts`, '../../transports/http-server.ts'),
  taking(layers, `${server}/features/alpha/uses-app.ts`, '../../app.ts'),
  taking(layers, `${server}/features/alpha/uses-config.ts`, '../../config/config.ts'),
  planted(layers, `${server}/features/alpha/re-exports.ts`, "export type { Shape } from '../beta/beta-store.ts';"),
  planted(layers, `${server}/features/alpha/loads.ts`, "export const load = () => import('../beta/beta-store.ts');"),
  planted(
    layers,
    `${server}/features/alpha/names-type.ts`,
    "export type Taken = import('../beta/beta-store.ts').Shape;",
  ),
  taking(null, `${server}/features/alpha/uses-store-beside-it.ts`, './alpha-store.ts'),
  taking(null, `${server}/features/alpha/uses-operation-of-other.ts`, '../beta/do-beta.ts'),
  taking(null, `${server}/features/alpha/uses-client.ts`, '../../clients/auth/auth.ts'),
  taking(null, `${server}/features/alpha/uses-database.ts`, '../../db/database.ts'),
  taking(null, `${server}/features/alpha/uses-platform.ts`, '../../platform/clock.ts'),
  taking(null, `${server}/features/alpha/uses-shared.ts`, '@chat-service/shared/text', 'compareText'),
  takingType(null, `${server}/features/alpha/uses-type-of-config.ts`, '../../config/config.ts'),

  taking(layers, `${server}/features/alpha/one-store.ts`, '../../trpc/procedures.ts'),
  taking(null, `${server}/features/alpha/two-store.ts`, '../../db/database.ts'),
  taking(layers, `${server}/features/alpha/one-router.ts`, './alpha-store.ts'),
  taking(null, `${server}/features/alpha/two-router.ts`, './do-alpha.ts'),
  taking(null, `${server}/features/alpha/three-router.ts`, '../../trpc/procedures.ts'),

  ...['credits', 'limits', 'models'].flatMap((feature) => [
    taking(layers, `${server}/features/${feature}/uses-other.ts`, '../alpha/do-alpha.ts'),
    taking(null, `${server}/features/${feature}/uses-database.ts`, '../../db/database.ts'),
  ]),
  taking(layers, `${server}/features/generations/uses-messages.ts`, '../messages/send-message.ts'),
  taking(layers, `${server}/features/generations/uses-supervision.ts`, '../supervision/observe.ts'),
  taking(null, `${server}/features/generations/uses-models.ts`, '../models/list-models.ts'),

  taking(layers, `${server}/platform/uses-feature.ts`, '../features/alpha/do-alpha.ts'),
  taking(layers, `${server}/platform/uses-database.ts`, '../db/database.ts'),
  taking(null, `${server}/platform/uses-platform.ts`, './clock.ts'),
  taking(layers, `${server}/clients/auth/uses-feature.ts`, '../../features/alpha/do-alpha.ts'),
  taking(null, `${server}/clients/auth/uses-database.ts`, '../../db/database.ts'),
  taking(layers, `${server}/db/uses-store.ts`, '../features/alpha/alpha-store.ts'),
  taking(null, `${server}/db/uses-platform.ts`, '../platform/clock.ts'),
  taking(layers, `${server}/trpc/uses-feature.ts`, '../features/alpha/do-alpha.ts'),
  taking(null, `${server}/trpc/uses-client.ts`, '../clients/auth/auth.ts'),
  taking(layers, `${server}/transports/uses-feature.ts`, '../features/alpha/do-alpha.ts'),
  taking(layers, `${server}/transports/uses-app.ts`, '../app.ts'),
  taking(null, `${server}/transports/uses-app-router.ts`, '../app-router.ts'),
  taking(layers, `${server}/config/uses-app.ts`, '../app.ts'),
  taking(null, `${server}/config/uses-client.ts`, '../clients/auth/auth.ts'),
  taking(layers, `${server}/commands/uses-main.ts`, '../main.ts'),
  taking(null, `${server}/commands/uses-app.ts`, '../app.ts'),
];

const packages: readonly Planted[] = [
  taking(layers, 'packages/shared/src/uses-other-package.ts', 'superjson', 'serialize'),
  taking(layers, 'packages/shared/src/uses-node.ts', 'node:path', 'join'),
  taking(layers, 'packages/shared/src/uses-server.ts', '@chat-service/server/app-router'),
  taking(null, 'packages/shared/src/uses-zod.ts', 'zod', 'z'),
  taking(null, 'packages/shared/src/uses-own.ts', './objects.ts'),
  takingType(layers, 'packages/client-sdk/src/uses-server.ts', '@chat-service/server/app-router'),
  taking(layers, 'packages/client-sdk/src/reaches-into-server.ts', '../../server/src/platform/clock.ts'),
  taking(null, 'packages/client-sdk/src/uses-shared.ts', '@chat-service/shared/text', 'compareText'),
  taking(layers, `${server}/platform/reaches-into-shared.ts`, '../../../shared/src/objects.ts'),
  taking(layers, `${server}/platform/uses-sdk.ts`, '@chat-service/client-sdk'),
  taking(layers, 'examples/terminal-chat/src/uses-server.ts', '@chat-service/server/app-router'),
  taking(null, 'packages/server/test/uses-store.ts', '../src/features/alpha/alpha-store.ts'),
  taking(null, 'packages/shared/test/uses-node.ts', 'node:path', 'join'),
];

const construct = 'chat-service(construct-in-app)';
const construction: readonly Planted[] = [
  taking(construct, `${server}/features/alpha/builds-client.ts`, '../../clients/auth/auth.ts', 'createPart'),
  taking(construct, `${server}/features/alpha/builds-other.ts`, '../beta/do-beta.ts', 'createPart'),
  taking(construct, `${server}/transports/builds-router.ts`, '../app-router.ts', 'createPart'),
  taking(null, `${server}/features/alpha/builds-own.ts`, './do-alpha.ts', 'createPart'),
  taking(null, `${server}/commands/builds-client.ts`, '../clients/auth/auth.ts', 'createPart'),
  planted(
    null,
    `${server}/features/alpha/names-factory.ts`,
    "import type { createPart } from '../beta/do-beta.ts';",
    'export type Part = ReturnType<typeof createPart>;',
  ),
];

const clock = 'chat-service(passed-in-clock)';
const globals = 'eslint(no-restricted-globals)';
const ambient: readonly Planted[] = [
  ...['features/alpha', 'clients/auth'].flatMap((folder) => [
    planted(clock, `${server}/${folder}/reads-now.ts`, 'export const now = () => Date.now();'),
    planted(clock, `${server}/${folder}/keeps-now.ts`, 'export const { length } = [globalThis.Date.now];'),
    planted(clock, `${server}/${folder}/reads-monotonic.ts`, 'export const now = () => performance.now();'),
    planted(clock, `${server}/${folder}/makes-now.ts`, 'export const now = () => new Date();'),
    planted(null, `${server}/${folder}/makes-date.ts`, 'export const at = (now: number) => new Date(now);'),
    planted(globals, `${server}/${folder}/reads-environment.ts`, "export const key = () => process.env['KEY'];"),
  ]),
  planted(null, `${server}/platform/reads-now.ts`, 'export const now = () => Date.now();'),
  planted(globals, `${server}/app-reads-environment.ts`, "export const key = () => process.env['KEY'];"),
  planted(
    'eslint(no-restricted-imports)',
    `${server}/platform/imports-process.ts`,
    "import { env } from 'node:process';",
    "export const key = () => env['KEY'];",
  ),
  planted(
    'eslint(no-restricted-properties)',
    `${server}/platform/reaches-process.ts`,
    "export const key = () => globalThis.process.env['KEY'];",
  ),
  planted(null, `${server}/commands/reads-environment.ts`, "export const key = () => process.env['KEY'];"),
  planted('eslint(no-console)', `${server}/platform/prints.ts`, "export const say = () => console.log('said');"),
  planted(
    'eslint(no-console)',
    'packages/shared/src/prints.ts',
    'declare global {',
    '  const console: { log(text: string): void };',
    '}',
    "export const say = () => console.log('said');",
  ),
  planted('eslint(no-console)', 'packages/client-sdk/src/prints.ts', "export const say = () => console.log('said');"),
  planted(null, `${server}/commands/prints.ts`, "export const say = () => console.log('said');"),
];

const later = 'const later = (): Promise<number> => Promise.resolve(1);';
const strictness: readonly Planted[] = [
  planted('typescript(no-explicit-any)', `${server}/platform/any.ts`, 'export type Anything = any;'),
  planted(
    'typescript(no-floating-promises)',
    `${server}/platform/floating.ts`,
    later,
    'export function start(): void {',
    '  later();',
    '}',
  ),
  planted(
    null,
    `${server}/platform/awaited.ts`,
    later,
    'export async function start(): Promise<void> {',
    '  await later();',
    '}',
  ),
  planted(
    'typescript(no-misused-promises)',
    `${server}/platform/misused.ts`,
    later,
    'export const sure = later() ? 1 : 0;',
  ),
  planted(
    'typescript(await-thenable)',
    `${server}/platform/await-value.ts`,
    'export const wait = async () => {',
    '  await 1;',
    '};',
  ),
  planted(
    'typescript(no-non-null-assertion)',
    `${server}/platform/not-null.ts`,
    'export const first = (list: string[]) => list[0]!;',
  ),
  planted(
    'chat-service(no-double-assertion)',
    `${server}/platform/double.ts`,
    "export const count = '1' as unknown as number;",
  ),
  planted(
    'typescript(switch-exhaustiveness-check)',
    `${server}/platform/partial-switch.ts`,
    "export function weigh(kind: 'a' | 'b'): number {",
    '  switch (kind) {',
    "    case 'a':",
    '      return 1;',
    '  }',
    '  return 2;',
    '}',
  ),
  planted(
    'typescript(consistent-type-imports)',
    `${server}/platform/value-import.ts`,
    "import { Shape } from './clock.ts';",
    'export type Taken = Shape[];',
  ),
  planted(
    'typescript(no-unsafe-return)',
    `${server}/platform/unsafe-return.ts`,
    'export const parse = (text: string) => JSON.parse(text);',
  ),
  planted(
    'typescript(no-unsafe-assignment)',
    `${server}/platform/unsafe-assignment.ts`,
    'export function parse(text: string): void {',
    '  const parsed = JSON.parse(text);',
    '  void parsed;',
    '}',
  ),
  planted(
    'typescript(no-unsafe-member-access)',
    `${server}/platform/unsafe-member.ts`,
    'export const size = (text: string) => void JSON.parse(text).size;',
  ),
  planted(
    'typescript(no-unsafe-call)',
    `${server}/platform/unsafe-call.ts`,
    'export const call = (text: string) => void JSON.parse(text)();',
  ),
  planted(
    'typescript(no-unsafe-argument)',
    `${server}/platform/unsafe-argument.ts`,
    'export const size = (text: string) => Math.sqrt(JSON.parse(text));',
  ),
  planted('import(no-default-export)', `${server}/platform/default-export.ts`, 'export default 1;'),
  planted(
    'eslint(max-lines)',
    `${server}/platform/long.ts`,
    ...Array.from({ length: 401 }, (_, line) => `export const n${line} = ${line};`),
  ),
  planted(
    null,
    `${server}/platform/long-enough.ts`,
    ...Array.from({ length: 400 }, (_, line) => `export const n${line} = ${line};`),
  ),
  planted('oxc(no-barrel-file)', `${server}/features/alpha/barrel.ts`, "export * from './do-alpha.ts';"),
  planted(null, 'packages/client-sdk/src/index.ts', "export * from './chat-client.ts';"),
  planted(
    'import(no-cycle)',
    `${server}/platform/cycle-a.ts`,
    "import { b } from './cycle-b.ts';",
    'export const a = () => b();',
  ),
  planted(
    'import(no-cycle)',
    `${server}/platform/cycle-b.ts`,
    "import { a } from './cycle-a.ts';",
    'export const b = (): number => a();',
  ),
  planted('unicorn(filename-case)', `${server}/platform/camelCase.ts`, 'export const value = 1;'),
  planted(
    'vitest(no-disabled-tests)',
    'packages/server/test/skipped.test.ts',
    "import { expect, it } from 'vitest';",
    "it.skip('waits', () => expect(1).toBe(1));",
  ),
  planted(
    'vitest(no-focused-tests)',
    'packages/server/test/focused.test.ts',
    "import { expect, it } from 'vitest';",
    "it.only('runs', () => expect(1).toBe(1));",
  ),
];

export const plantedFiles: readonly Planted[] = [
  ...surroundings,
  ...direction,
  ...packages,
  ...construction,
  ...ambient,
  ...strictness,
];
