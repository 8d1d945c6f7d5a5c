#!/usr/bin/env node
// Nothing is imported above the check: native modules end the process of an older Node before it can say why.
const oldestNode = 22;
const [major = '0'] = process.versions.node.split('.');

if (Number(major) < oldestNode) {
  process.stderr.write(
    `chat-service needs Node.js ${oldestNode} or newer; this is ${process.versions.node} (${process.execPath}).\n`,
  );
  process.exitCode = 1;
} else {
  const { runCli } = await import('./commands/cli.ts');
  await runCli(process.argv);
}
