import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../../scripts/generate-client-types.mjs', import.meta.url));

/** What the generator says of a declaration file; `--check` keeps it from writing. */
async function complaint(declarations: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'chat-client-types-'));
  try {
    const file = join(folder, 'app-router.d.ts');
    await writeFile(file, declarations);
    await promisify(execFile)(process.execPath, [script, '--check', '--from', file]);
    return '';
  } catch (error) {
    return (error as { stderr: string }).stderr;
  } finally {
    await rm(folder, { recursive: true });
  }
}

const declare = (type: string, head = '') =>
  `${head}export declare function createAppRouter({ a }: { a: () => void; }): import("@trpc/server").TRPCBuiltRouter<${type}>;\n`;

describe('the generator of the client types', () => {
  it('fails when the server has moved on', async () => {
    expect(await complaint(declare('{ ctx: object; }, {}'))).toContain('differ from the server');
  });

  it.each([
    ['a type of the server', declare('{ output: import("./features/sessions/session.ts").Session; }, {}')],
    ['a foreign package', declare('{ output: import("drizzle-orm").Table; }, {}')],
    ['a private path of the shared package', declare('{ output: import("../../shared/src/objects.ts").Session; }, {}')],
    ['an import at the top', declare('{ output: Session; }, {}', "import type { Session } from './session.ts';\n")],
  ])('refuses a router that needs %s', async (_, declarations) => {
    expect(await complaint(declarations)).toContain('which is not published');
  });

  it('refuses a router without an error shape, and no router', async () => {
    expect(await complaint(declare('{ errorShape: any; }, {}'))).toContain('error shape is any');
    expect(await complaint('export declare function createAppRouter(): any;\n')).toContain('not return a tRPC router');
    expect(await complaint('export {};\n')).toContain('no function createAppRouter');
  });
});
