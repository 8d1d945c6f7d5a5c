import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createChatClient } from '@chat-service/client-sdk';
import type { AppRouter } from '@chat-service/server/app-router';
import { readCatalogueFile } from '@chat-service/server/features/models/catalogue-file';
import { errorTable } from '@chat-service/shared/errors';
import type { ObservationEvent, ObservedEvent } from '@chat-service/shared/events';
import type { inferRouterInputs } from '@trpc/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeBlocks, fileLinks, firstCells, inlineCode, type CodeBlock } from '../src/markdown.ts';
import { startShell, type RunningShell, type ShellResult } from '../src/shell.ts';
import { createSampleFolder } from '../src/typescript-sample.ts';

const root = join(import.meta.dirname, '../../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const readme = read('README.md');
const clientReadme = read('packages/client-sdk/README.md');

/** What a person puts in the place of these. */
const documented = {
  startWithPort: 'PORT=3001 npm start',
  url: 'http://127.0.0.1:3000',
  token: '<token>',
  supervisorToken: '<supervisor-token>',
  sample: 'examples/terminal-chat/hello.ts',
};
/** Most of what a command may take, a first start and a machine that has other work to do included. */
const commandMinutes = 10;

const data = mkdtempSync(join(tmpdir(), 'chat-service-readme-'));
/** A person's shell on this machine: none of the service's own variables is set, whatever this run was started with. */
const environment: Record<string, string | undefined> = {
  ...process.env,
  NODE_OPTIONS: undefined,
  ...Object.fromEntries(
    [...read('.env.example').matchAll(/^#? ?([A-Z][A-Z_]+)=/gmu)].map(([, name = '']) => [name, '']),
  ),
  DATABASE_URL: `file:${join(data, 'chat.db')}`,
};

let service: RunningShell;
let printed = '';
let url = '';
let token = '';
let supervisorToken = '';

function found(pattern: RegExp): string {
  const value = pattern.exec(printed)?.[1];
  if (value === undefined) throw new Error(`${pattern} is not in what was printed:\n${printed}`);
  return value;
}

beforeAll(async () => {
  service = startShell(documented.startWithPort.replace('3001', '0'), { cwd: root, env: environment });
  printed = await service.says('Ctrl-C stops it.');
  url = found(/listening on (\S+)/u);
  token = found(/^ {2}(eyJ\S+)$/mu);
  supervisorToken = found(/npm run watch -- .* --token (\S+)$/mu);
}, commandMinutes * 60_000);

afterAll(async () => {
  await service[Symbol.asyncDispose]();
  rmSync(data, { recursive: true, force: true });
});

/** Starts a documented command with what was printed in the place of what is documented. */
function start(command: string, input: string, env: Readonly<Record<string, string>> = {}): RunningShell {
  const real = command
    .replaceAll(documented.url, url)
    .replaceAll(documented.token, token)
    .replaceAll(documented.supervisorToken, supervisorToken);
  return startShell(real, { cwd: root, env: { ...environment, ...env }, input });
}

async function run(command: string, input = '', env: Readonly<Record<string, string>> = {}): Promise<ShellResult> {
  await using shell = start(command, input, env);
  return await shell.result;
}

function hasScript(name: string, runBy: string): void {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  expect(Object.keys(scripts)).toContain(name);
  expect(read('.ci/run')).toMatch(new RegExp(`^step .* ${runBy}$`, 'mu'));
}

/** Every command of the README, with what makes it true. */
const commands: Readonly<Record<string, (command: string) => Promise<void>>> = {
  'npm start': async () => {
    expect((await fetch(url)).status).toBe(404);
    // What is printed is what the README says, with the address and the token in it.
    const ready = [...printed.matchAll(/^ {2}((?:curl|npm) .*)$/gmu)].map(([, line = '']) =>
      line
        .replaceAll(url, documented.url)
        .replaceAll(token, documented.token)
        .replaceAll(supervisorToken, documented.supervisorToken),
    );
    expect(ready).toHaveLength(3);
    expect(shellCommands(readme).map(({ command }) => command)).toEqual(expect.arrayContaining(ready));
  },
  'curl http://127.0.0.1:3000/api/health': async (command) => {
    const { code, stdout } = await run(command);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ status: 'ok', checks: { database: { status: 'ok' } } });
  },
  "curl -H 'Authorization: Bearer <token>' http://127.0.0.1:3000/api/models": async (command) => {
    const { code, stdout } = await run(command);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ default: 'demo' });
  },
  'npm run chat -- --url http://127.0.0.1:3000 --token <token>': async (command) => {
    const { code, stdout, stderr } = await run(command, 'Good morning\n');
    expect(stdout).toContain('You wrote: “Good morning”');
    expect(stderr).toMatch(/^session [0-9a-f-]{36}$/mu);
    expect(code).toBe(0);
  },
  'npm run watch -- --url http://127.0.0.1:3000 --token <supervisor-token>': async (command) => {
    await using client = createChatClient({ url, token });
    const { sessionId } = await client.sessions.create();
    const stream = client.messages.stream({ sessionId, message: '/long Good evening' });
    for await (const { type } of stream) if (type === 'start') break;
    await using shell = start(command, '1\n');
    await shell.says('user> /long Good evening\nassistant> ');
    await client.messages.stop({ sessionId });
    shell.interrupt();
    expect((await shell.result).stderr).toContain(`session ${sessionId} of dev (streaming, nobody else is watching)`);
  },
  'CHAT_TOKEN=<token> npx node --conditions=@chat-service/source examples/terminal-chat/hello.ts': async (command) => {
    const [program] = programs(readme);
    if (program === undefined) throw new Error('the README has no program');
    using folder = createSampleFolder(root);
    folder.write('hello.ts', program.code);
    const inFolder = command.replace(documented.sample, join(folder.path, 'hello.ts'));
    expect(inFolder).not.toBe(command);
    const { code, stdout, stderr } = await run(inFolder, '', { CHAT_URL: url });
    expect(stdout, stderr).toMatch(/You wrote: “Hello!”[^]*\ncomplete, \d+ tokens\n[^]*You wrote: “And now\?”/u);
    expect(code).toBe(0);
  },
  'npm test': async () => hasScript('test', 'npm test'),
  'npm run check': async () => hasScript('check', 'npm run check'),
  'npm run bench': async (command) => {
    // Everything is run, too shortly to say anything about speed.
    const { code, stdout, stderr } = await run(`${command} -- --smoke`);
    const lists = ['session-list', 'session-list-trpc', 'session-pages-first', 'session-pages-deep'];
    for (const name of ['tokens', 'observers', ...lists]) {
      expect(stdout, stderr).toMatch(new RegExp(`^${name}: .*\\n {2}ratio [\\d.]+ .*: inconclusive$`, 'mu'));
    }
    expect(code).toBe(0);
  },
  [documented.startWithPort]: async () => expect(new URL(url).port).not.toBe('3000'),
  'npm run build': async () => {
    hasScript('build', 'npm test');
    const { bin } = JSON.parse(read('packages/server/package.json')) as { bin: Record<string, string> };
    expect(inlineCode(readme)).toContain(join('packages/server', bin['chat-service'] ?? ''));
  },
};

/** Shell commands in blocks: one a line. */
function shellCommands(markdown: string): { command: string; line: number }[] {
  return codeBlocks(markdown)
    .filter(({ language }) => !['ts', 'json', 'text'].includes(language))
    .flatMap(({ code, line }) => code.split('\n').map((command) => ({ command, line })))
    .filter(({ command }) => command.trim() !== '');
}

function inlineCommands(markdown: string): string[] {
  return inlineCode(markdown).filter((code) => /^(?:[A-Z_]+=\S+ )*(?:npm|npx|node|pnpm|curl|git|docker) /u.test(code));
}

const isProgram = ({ code }: CodeBlock) => /^import /mu.test(code);
const typescript = (markdown: string) => codeBlocks(markdown).filter(({ language }) => language === 'ts');
const programs = (markdown: string) => typescript(markdown).filter(isProgram);

describe('the commands of the README', () => {
  const used = new Set([...shellCommands(readme).map(({ command }) => command), ...inlineCommands(readme)]);

  it.each([...used])(
    '%s',
    async (command) => {
      const proof = commands[command];
      expect(proof, 'a command that this spec does not run').toBeDefined();
      await proof?.(command);
    },
    commandMinutes * 60_000,
  );

  it('are the ones that are run here', () => {
    expect([...used].toSorted()).toEqual(Object.keys(commands).toSorted());
  });
});

describe('the TypeScript of the READMEs', () => {
  /** What the fragments of the client's README take for granted. */
  const surroundings = `
    declare const createChatClient: typeof import('@chat-service/client-sdk').createChatClient;
    declare const chat: import('@chat-service/client-sdk').ChatClient;
    declare const sessionId: string;
    declare const session: { token(): string; renew(): Promise<string> };
    declare const stopButton: { onclick: (() => void) | null };
    declare function render(text: string): void;
  `;

  it('compiles', async () => {
    const blocks = [...typescript(readme), ...typescript(clientReadme)];
    expect(blocks.length).toBeGreaterThan(4);
    using folder = createSampleFolder(root);
    folder.write('surroundings.d.ts', surroundings);
    const names = blocks.map((_, index) => `block-${index}.ts`);
    for (const [index, name] of names.entries()) folder.write(name, `${blocks[index]?.code ?? ''}\nexport {};\n`);
    folder.write('wrong.ts', 'chat.messages.stream({ sesionId: sessionId });\nexport {};\n');
    expect(await folder.compile('surroundings.d.ts', ...names)).toBe('');
    expect(await folder.compile('surroundings.d.ts', 'wrong.ts')).toContain('sesionId');
  });

  it("runs, as far as it is a program: the client's", async () => {
    const [program, ...others] = programs(clientReadme);
    expect(others).toEqual([]);
    using folder = createSampleFolder(root);
    folder.write('hello.ts', (program?.code ?? '').replaceAll(documented.url, url));
    const command = `npx node --conditions=@chat-service/source ${join(folder.path, 'hello.ts')}`;
    const { code, stdout, stderr } = await run(command, '', { CHAT_TOKEN: token });
    expect(stdout, stderr).toMatch(/You wrote: “Hello!”[^]*\ncomplete, \d+ tokens\n/u);
    expect(code).toBe(0);
  });

  it('is installed by its name', () => {
    const { name } = JSON.parse(read('packages/client-sdk/package.json')) as { name: string };
    expect(shellCommands(clientReadme).map(({ command }) => command)).toEqual([`npm install ${name}`]);
  });
});

describe('the documents', () => {
  const documents = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file));

  it.each(['README.md', 'packages/client-sdk/README.md', ...documents])('%s leads to files that exist', (document) => {
    const missing = fileLinks(read(document)).filter((target) => !existsSync(join(root, dirname(document), target)));
    expect(missing).toEqual([]);
  });

  it('list the procedures, events and error codes that there are', () => {
    type Inputs = inferRouterInputs<AppRouter>;
    // A procedure, or an event, that is added or removed is an error of types here.
    const procedures: { readonly [Router in keyof Inputs]: Readonly<Record<keyof Inputs[Router], true>> } = {
      session: { create: true, get: true, list: true, update: true, follow: true, delete: true },
      message: {
        send: true,
        start: true,
        stream: true,
        follow: true,
        stop: true,
        finalize: true,
        list: true,
        delete: true,
      },
      model: { list: true, recommend: true },
      supervisor: {
        observe: true,
        live: true,
        stop: true,
        userSessions: true,
        userSession: true,
        searchUsers: true,
        auditLog: true,
      },
      account: { usage: true },
      system: { health: true, version: true },
    };
    const events: Readonly<Record<(ObservationEvent | ObservedEvent)['type'], true>> = {
      start: true,
      chunk: true,
      done: true,
      error: true,
      resync: true,
      'history-start': true,
      'history-end': true,
      message: true,
      'message-deleted': true,
      observed: true,
      'session-updated': true,
      'session-deleted': true,
      observer: true,
    };
    const paths = Object.entries(procedures).flatMap(([router, names]) =>
      Object.keys(names).map((name) => `${router}.${name}`),
    );
    const api = read('docs/api.md');
    expect(firstCells(api, 'Procedures').toSorted()).toEqual(paths.toSorted());
    expect(firstCells(api, 'Events').toSorted()).toEqual(Object.keys(events).toSorted());
    expect(firstCells(api, 'Errors').toSorted()).toEqual(Object.keys(errorTable).toSorted());
  });

  it('list REST paths that there are', async () => {
    const rows = [...read('docs/api.md').matchAll(/\| (GET|POST|PATCH|DELETE) `(\/api\/[^`]+)`/gu)];
    expect(rows.length).toBeGreaterThan(10);
    const answers = await Promise.all(
      rows.map(async ([, method = '', path = '']) => {
        const { status } = await fetch(url + path.replaceAll(/\{\w+\}/gu, randomUUID()), { method });
        return `${method} ${path}: ${status}`;
      }),
    );
    // Without a token: a path that is not there would be 404, another method 405.
    expect(answers).toEqual(rows.map(([, method, path]) => `${method} ${path}: ${path === '/api/health' ? 200 : 401}`));
  });

  it('show a list of models that the service takes', () => {
    const examples = codeBlocks(read('docs/models.md')).filter(({ language }) => language === 'json');
    expect(examples.map(({ code }) => readCatalogueFile(code).ok)).toEqual([true]);
  });
});

describe('ctrl-C', () => {
  it('stops the service in good order', async () => {
    service.interrupt();
    // The exit code is npm's, which ends by the signal or with 0, as its version likes.
    const { stderr } = await service.result;
    expect(stderr).toMatch(/"clean":true.*"stopped"/u);
    await expect(fetch(url)).rejects.toThrow();
  });
});
