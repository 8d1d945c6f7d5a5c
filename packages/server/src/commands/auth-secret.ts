import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checkAuthKeys, type AuthConfig } from '../clients/auth/auth-config.ts';
import type { GeneratedAuth } from '../config/config.ts';
import { errorCode } from '../platform/error-code.ts';

/**
 * The configuration to verify tokens with: as configured, or with the secret generated for this machine.
 * @throws Error in words for people, when the secret can neither be read nor made.
 */
export async function resolveAuth(auth: AuthConfig | GeneratedAuth): Promise<AuthConfig> {
  if (auth.kind !== 'generated') return auth;
  const { kind: _, file, ...claims } = auth;
  return { kind: 'secret', secrets: [await keepSecret(file)], ...claims };
}

/** Reads the secret in `file`, or makes one. Of several processes that make it at once, all get the same. */
async function keepSecret(file: string): Promise<string> {
  try {
    const secret = (await readSecret(file)) ?? (await makeSecret(file));
    if (checkAuthKeys({ kind: 'secret', secrets: [secret] }).length === 0) return secret;
  } catch (error) {
    const code = errorCode(error);
    const reason = code === undefined ? '' : ` (${code})`;
    throw new Error(`the generated secret in ${file} can neither be read nor made${reason}`, { cause: error });
  }
  throw new Error(`${file} holds no secret that can be used: delete it, and a new one is made`);
}

async function readSecret(file: string): Promise<string | null> {
  try {
    const secret = (await readFile(file, 'utf8')).trim();
    await chmod(file, 0o600);
    return secret;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

async function makeSecret(file: string): Promise<string> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(`${randomBytes(48).toString('base64url')}\n`);
    await handle.sync();
    // Unlike a rename, a link fails where another process was first: its secret is the one that counts then.
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await handle.close();
    await rm(draft, { force: true });
  }
  return (await readFile(file, 'utf8')).trim();
}
