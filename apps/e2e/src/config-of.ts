import { readFileSync } from 'node:fs';
import { loadConfig, type Config } from '@chat-service/server/config/config';

/** The configuration that these variables make. @throws Error that lists every problem */
export function configOf(env: Readonly<Record<string, string | undefined>>): Config {
  const loaded = loadConfig(env, { readTextFile: (path) => readFileSync(path, 'utf8') });
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  const { auth } = loaded.config;
  if (auth.kind === 'generated') throw new Error('a world configures its own keys');
  return { ...loaded.config, auth };
}
