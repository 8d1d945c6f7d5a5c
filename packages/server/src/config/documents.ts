import { envSchema, variableNames, type VariableName } from './env.ts';
import { variableDocs, type VariableDocs } from './variables.ts';

interface Variable extends VariableDocs {
  name: VariableName;
  /** As it would be written in the environment; null where there is none. */
  defaultText: string | null;
}

function describeVariable(name: VariableName): Variable {
  const schema = envSchema.shape[name];
  const docs = variableDocs.get(schema);
  if (docs === undefined) throw new Error(`${name} is not documented`);
  const value = schema.parse(undefined);
  return { name, ...docs, defaultText: value === undefined ? null : String(value) };
}

function sections(): Map<string, Variable[]> {
  return Map.groupBy(variableNames.map(describeVariable), ({ section }) => section);
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Text of .env.example: every variable, commented out, with its default or an example. */
export function envExample(): string {
  const lines = [
    '# Configuration of Chat Service. Copy to .env and change what you need; every line is optional.',
    '# Generated from packages/server/src/config/env.ts: do not edit by hand.',
  ];
  for (const [section, variables] of sections()) {
    lines.push('', `# ${section} ${'-'.repeat(Math.max(0, 76 - section.length))}`);
    for (const { name, description, defaultText, otherwise, example } of variables) {
      lines.push('', ...wrap(description, 98).map((line) => `# ${line}`));
      if (defaultText === null) lines.push(`# Default: ${otherwise ?? 'none'}`, `# ${name}=${example}`);
      else lines.push(`# ${name}=${defaultText}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Text of docs/configuration.md. */
export function configurationDocument(): string {
  const tables = [...sections()].flatMap(([section, variables]) => [
    '',
    `## ${section}`,
    '',
    '| Variable | Default | Meaning |',
    '| --- | --- | --- |',
    ...variables.map(({ name, defaultText, otherwise, description, example }) => {
      const fallback = defaultText === null ? (otherwise ?? 'none') : `\`${defaultText}\``;
      const sample = example === defaultText ? '' : ` Example: \`${example}\``;
      return `| \`${name}\` | ${fallback} | ${`${description}${sample}`.replaceAll('|', '\\|')} |`;
    }),
  ]);
  return [introduction, ...tables, '', notes].join('\n');
}

const introduction = `# Configuration

<!-- Generated from packages/server/src/config: do not edit by hand. -->

The service is configured by environment variables only. A file \`.env\` in the working directory is read as well; a
variable that is set in the real environment wins over it. \`.env.example\` lists every variable.

Everything is checked at start: one message lists every problem, and the process exits with code 1. A value that is
empty or blank counts as not set. Whole numbers are written in plain digits, switches as \`true\` or \`false\`. Variables
that are not listed here are ignored; one that looks like a misspelt name of these is told in a warning.`;

const notes = `## Authentication key

Exactly one kind of key verifies tokens. Where none is configured, outside production and on a loopback \`HOST\` only, a
secret is generated at the first start and kept in the file \`auth-secret\` beside the SQLite file (for PostgreSQL in
\`./data\`), readable by its owner alone. \`chat-service serve\` then prints a development token;
\`chat-service token\` mints more, for other users and roles, wherever the service verifies with a shared secret.

## Standard output and standard error

The log is one JSON object a line. In production it goes to standard output, and nothing else does: collectors that
take standard error for errors sort it right. Otherwise standard output is for people (the address, a development token,
ready-made commands) and the log goes to standard error, so that either can be read, or redirected, without the other.
What stops the process from starting is told in plain words on standard error.

## Exit codes

| Command | 0 | 1 |
| --- | --- | --- |
| \`serve\` | stopped by \`SIGTERM\` or \`SIGINT\`, every generation's end stored | not started; or stopped before every end was stored; or a fault that nobody caught |
| \`migrate\` | the database is up to date | it is not |
| \`token\` | the token is on standard output | no token can be minted |
| \`grant\` | the credits are on the account | nothing was granted |
| \`reconcile\` | credits and usage add up | they do not, as the output says; or they could not be compared |

After \`SIGTERM\` or \`SIGINT\` the service answers on for \`SHUTDOWN_GRACE_SECONDS\`, and is gone at most 5 seconds later. A
second \`SIGINT\` ends it at once.
`;
