import { readFileSync } from 'node:fs';
import { loadConfig, type LoadedConfig } from '../config/config.ts';
import { likelyTypos } from '../config/likely-typos.ts';
import { errorCode } from '../platform/error-code.ts';

export interface ProcessConfiguration {
  config: LoadedConfig;
  /** What looks wrong and does not keep the service from starting. */
  warnings: string[];
}

/**
 * The configuration of this process: its environment, and under it `.env` in the working directory. Null when it is
 * refused; the problems are on standard error by then.
 */
export function loadProcessConfiguration(): ProcessConfiguration | null {
  const dotEnvProblem = loadDotEnv();
  if (dotEnvProblem !== null) return refuse([dotEnvProblem]);
  const loaded = loadConfig(process.env, { readTextFile: (path) => readFileSync(path, 'utf8') });
  const warnings = likelyTypos(process.env).map(({ name, meant }) => `${name} is not known; is ${meant} meant?`);
  return loaded.ok ? { config: loaded.config, warnings } : refuse([...loaded.problems, ...warnings]);
}

/** The same for a command that ends by itself: what looks wrong is on standard error by then, too. */
export function loadCommandConfiguration(): LoadedConfig | null {
  const loaded = loadProcessConfiguration();
  for (const warning of loaded?.warnings ?? []) complain(`warning: ${warning}`);
  return loaded?.config ?? null;
}

/** Says on standard error, in words for people, what keeps the command from its work. */
export function complain(message: string): void {
  process.stderr.write(`chat-service: ${message}\n`);
}

function refuse(problems: readonly string[]): null {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  complain([`the configuration has ${count}:`, ...problems.map((problem) => `  - ${problem}`)].join('\n'));
  return null;
}

/** Variables that are set already stay as they are. */
function loadDotEnv(): string | null {
  try {
    process.loadEnvFile('.env');
    return null;
  } catch (error) {
    const code = errorCode(error);
    return code === 'ENOENT' ? null : `.env in the working directory cannot be read (${String(code)})`;
  }
}
