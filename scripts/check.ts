/**
 * Everything that can be judged without running the service, one step after the other; a step that fails does not keep
 * the next from telling its own. `npm run check -- lint types` runs the named steps only, `--generate` writes the
 * generated files instead of comparing them.
 */
import { run, type Command } from './run.ts';

/** Files that are committed and made by a program: each of these takes `--check`. */
const generators: readonly Command['argv'][] = [
  ['node', '--conditions=@chat-service/source', 'scripts/generate-configuration.mjs'],
  ['node', 'scripts/generate-client-types.mjs'],
  ['node', '--conditions=@chat-service/source', 'scripts/generate-openapi.mjs'],
];

const steps: Readonly<Record<string, readonly Command['argv'][]>> = {
  format: [['oxfmt', '--check']],
  lint: [['oxlint']],
  types: [['tsc', '-b']],
  unused: [['knip']],
  workspace: [['sherif']],
  generated: generators.map((argv) => [...argv, '--check'] as const),
  build: [['turbo', 'run', 'build', '--output-logs=errors-only']],
  published: [['node', 'scripts/check-published.ts', 'packages/shared', 'packages/client-sdk']],
};

async function all(commands: readonly Command['argv'][]): Promise<boolean> {
  let passed = true;
  for (const argv of commands) {
    const code = await run({ argv });
    if (code > 128) process.exit(code);
    if (code !== 0) passed = false;
  }
  return passed;
}

async function check(names: readonly string[]): Promise<boolean> {
  const failed: string[] = [];
  for (const name of names) {
    const commands = steps[name];
    if (commands === undefined) throw new Error(`No step ${name}: there are ${Object.keys(steps).join(', ')}.`);
    console.log(`\ncheck: ${name}`);
    if (!(await all(commands))) failed.push(name);
  }
  console.log(failed.length === 0 ? `\ncheck: all of ${names.join(', ')}` : `\ncheck failed: ${failed.join(', ')}`);
  return failed.length === 0;
}

const named = process.argv.slice(2);
const passed = named.includes('--generate')
  ? await all([['tsc', '-b', 'packages/server'], ...generators])
  : await check(named.length > 0 ? named : Object.keys(steps));
process.exitCode = passed ? 0 : 1;
