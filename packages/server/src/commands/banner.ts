import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface BannerContent {
  version: string;
  url: string;
  /** Null where none may be handed out. */
  tokens: { readonly user: string; readonly supervisor: string } | null;
  /** Whether supervisors have to say why they look. */
  requireReason: boolean;
  /** The scripts that `npm run` knows in the working directory. */
  npmScripts: ReadonlySet<string>;
}

/** What a person who has started the service needs next; every command works as it stands. */
export function banner({ version, url, tokens, requireReason, npmScripts }: BannerContent): string {
  const lines = ['', `Chat Service ${version} is listening on ${url}`, ''];
  if (tokens !== null) lines.push('Development token of the user "dev", valid for 12 hours:', `  ${tokens.user}`, '');
  lines.push('Every path, to read and to try out:', `  ${url}/api/docs`, '');
  lines.push('Is it well?', `  curl ${url}/api/health`, '');
  const command = (script: string, token: string) => `  npm run ${script} -- --url ${url} --token ${token}`;
  if (tokens !== null && npmScripts.has('chat')) {
    lines.push('Chat in another terminal, in this directory:', command('chat', tokens.user), '');
  }
  if (tokens !== null && npmScripts.has('watch')) {
    const why = requireReason ? ' --reason "a first look"' : '';
    lines.push('Watch the chats, as a supervisor, in a third one:', `${command('watch', tokens.supervisor)}${why}`, '');
  }
  lines.push('Ctrl-C stops it.', '');
  return `${lines.join('\n')}\n`;
}

/** The scripts of the package in `directory`: a checkout's root has those of the examples. */
export function readNpmScripts(directory: string): ReadonlySet<string> {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const scripts =
      typeof manifest === 'object' && manifest !== null && 'scripts' in manifest ? manifest.scripts : null;
    return new Set(typeof scripts === 'object' && scripts !== null ? Object.keys(scripts) : []);
  } catch {
    return new Set();
  }
}
