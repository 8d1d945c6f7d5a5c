import { createChatClient, type ChatClient } from '@chat-service/client-sdk';
import { readOptions, type Options } from './options.ts';
import { openTerminal, type Terminal } from './terminal.ts';

export interface Program<Flag extends string> {
  readonly usage: string;
  /** Beside those that every program has. */
  readonly flags: readonly Flag[];
  /** Returns the exit code. */
  readonly run: (client: ChatClient, options: Options<Flag>, terminal: Terminal) => Promise<number>;
  /** Words for what `run` throws. */
  readonly explain: (error: unknown, url: string) => string;
}

type Surroundings = Pick<NodeJS.Process, 'argv' | 'env' | 'stdin' | 'stdout' | 'stderr'>;

/** Exit code: what the program returns, 1 when something failed, 2 for a wrong call. */
export async function runProgram<Flag extends string>(
  { usage, flags, run, explain }: Program<Flag>,
  surroundings: Surroundings,
): Promise<number> {
  const terminal = openTerminal(surroundings);
  const options = readOptions(surroundings.argv.slice(2), surroundings.env, flags);
  if (options === 'help') {
    terminal.output.write(usage);
    return 0;
  }
  if ('problem' in options) {
    terminal.notices.write(`${options.problem}\n\n${usage}`);
    return 2;
  }
  await using client = createChatClient({ url: options.url, token: options.token });
  try {
    return await run(client, options, terminal);
  } catch (error) {
    terminal.notices.write(`${explain(error, options.url)}\n`);
    return 1;
  }
}
