import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface BannerContent {
  version: string;
  url: string;
  /** Null where none may be handed out. */
  token: string | null;
  /** Whether `npm run chat` works in the working directory. */
  npmScripts: boolean;
}

/** What a person who has started the service needs next; every command works as it stands. */
export function banner({ version, url, token, npmScripts }: BannerContent): string {
  const lines = ['', `Chat Service ${version} is listening on ${url}`, ''];
  if (token !== null) lines.push('Development token of the user "dev", valid for 12 hours:', `  ${token}`, '');
  lines.push('Every path, to read and to try out:', `  ${url}/api/docs`, '');
  lines.push('Is it well?', `  curl ${url}/api/health`, '');
  if (token !== null && npmScripts) {
    lines.push('Chat in another terminal, in this directory:', `  npm run chat -- --url ${url} --token ${token}`, '');
  }
  lines.push('Ctrl-C stops it.', '');
  return `${lines.join('\n')}\n`;
}

/** Whether the package in `directory` has the script of the terminal client, as a checkout's root has. */
export function hasChatScript(directory: string): boolean {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const scripts =
      typeof manifest === 'object' && manifest !== null && 'scripts' in manifest ? manifest.scripts : null;
    return typeof scripts === 'object' && scripts !== null && 'chat' in scripts;
  } catch {
    return false;
  }
}
