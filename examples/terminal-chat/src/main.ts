#!/usr/bin/env node
import { createChatClient } from '@chat-service/client-sdk';
import { chat } from './chat.ts';
import { explain } from './explain-error.ts';
import { readOptions, usage } from './options.ts';

process.exitCode = await main();

/** Exit code: 0 after a chat, 1 when something failed, 2 for a wrong call, 130 when it was interrupted. */
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
    return await chat(client, options, { input: process.stdin, output: process.stdout, notices: process.stderr });
  } catch (error) {
    process.stderr.write(`${explain(error, options.url)}\n`);
    return 1;
  }
}
