import type { LoadedConfig } from '../config/config.ts';
import { readPackageVersion } from '../features/system/version.ts';
import { systemClock } from '../platform/clock.ts';
import { errorCode } from '../platform/error-code.ts';
import { createLogger } from '../platform/logger.ts';
import { resolveAuth } from './auth-secret.ts';
import { banner, readNpmScripts } from './banner.ts';
import { complain, loadProcessConfiguration } from './configuration.ts';
import { flushLog, openLogDestination } from './log-destination.ts';
import { mintToken } from './mint-token.ts';
import { runUntilStopped } from './run-until-stopped.ts';

const developmentTokenSeconds = 12 * 3600;

/** Serves until a signal, and ends the process. */
export async function serve(): Promise<void> {
  const loaded = loadProcessConfiguration();
  if (loaded === null) {
    process.exitCode = 1;
    return;
  }
  const { config, warnings } = loaded;
  const destination = openLogDestination(config.environment === 'production' ? 1 : 2);
  const endProcess = (exitCode: 0 | 1) => flushLog(destination, systemClock).finally(() => process.exit(exitCode));
  const logger = createLogger({ level: config.logging.level, destination });
  for (const warning of warnings) logger.warn(warning);
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      logger.fatal({ err: error }, event);
      void endProcess(1);
    });
  }
  // While the start waits for a lock, or the end for a promise, nothing else may be there to keep the process.
  setInterval(() => {}, 60_000);

  const exitCode = await runUntilStopped({
    start: async () => {
      // Loaded here, so that a bad configuration is told at once and in words whatever else may not load.
      const { createApp } = await import('../app.ts');
      return createApp({ ...config, auth: await resolveAuth(config.auth) }, { logger, processId: process.pid });
    },
    onListening: async (url) => {
      if (config.environment !== 'production') process.stdout.write(await developmentBanner(config, url));
    },
    onFailedStart: (error) => complain(`could not start: ${startProblem(error, config)}`),
    signals: process,
    graceMs: config.shutdownGraceMs,
    clock: systemClock,
    logger,
  });
  await endProcess(exitCode);
}

function startProblem(error: unknown, { http }: LoadedConfig): string {
  if (!(error instanceof Error)) return String(error);
  const code = errorCode(error);
  if (code === 'EADDRINUSE') return `port ${http.port} of ${http.host} is in use; set PORT to another one`;
  if (code === 'EADDRNOTAVAIL') return `${http.host} is no address of this machine; set HOST`;
  return error.message;
}

async function developmentBanner({ auth, supervision: { requireReason } }: LoadedConfig, url: string): Promise<string> {
  const version = readPackageVersion();
  const npmScripts = readNpmScripts(process.cwd());
  // Where somebody configured a secret, its tokens are theirs to hand out.
  if (auth.kind !== 'generated') return banner({ version, url, tokens: null, requireReason, npmScripts });
  const resolved = await resolveAuth(auth);
  if (resolved.kind !== 'secret') return banner({ version, url, tokens: null, requireReason, npmScripts });
  const times = { now: Math.floor(systemClock.now() / 1000), expiresIn: developmentTokenSeconds };
  const user = await mintToken(resolved, { sub: 'dev', username: 'dev' }, times);
  const boss = { sub: 'dev-supervisor', username: 'dev-supervisor', role: 'supervisor' };
  const supervisor = await mintToken(resolved, boss, times);
  return banner({ version, url, tokens: { user, supervisor }, requireReason, npmScripts });
}
