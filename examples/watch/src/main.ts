#!/usr/bin/env node
import { createChatClient } from '@chat-service/client-sdk';
import { explain } from './explain-error.ts';
import { readOptions, usage } from './options.ts';
import { watch } from './watch.ts';

process.exitCode = await main();

/** Exit code: 0 when the watching is over or was left, 1 when something failed, 2 for a wrong call. */
async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options === 'help') {
    process.stdout.write(usage);
    return 0;
  }
  if ('problem' in options) {
    process.stderr.write(`${options.problem}\n\n${usage}`);
    return 2;
  }
  await using client = createChatClient({ url: options.url, token: options.token });
  try {
    await watch(client, options, { input: process.stdin, output: process.stdout, notices: process.stderr });
    return 0;
  } catch (error) {
    process.stderr.write(`${explain(error, options.url)}\n`);
    return 1;
  }
}
