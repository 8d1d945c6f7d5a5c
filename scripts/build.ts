import { run } from './run.ts';

process.exitCode = await run({ argv: ['turbo', 'run', 'build', ...process.argv.slice(2)] });
