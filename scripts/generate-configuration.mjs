// Writes .env.example and docs/configuration.md from the server's configuration schema; `--check` only compares.
// Run with `node --conditions=@chat-service/source scripts/generate-configuration.mjs`.
import { readFileSync, writeFileSync } from 'node:fs';
import { configurationDocument, envExample } from '../packages/server/src/config/documents.ts';

const files = { '.env.example': envExample(), 'docs/configuration.md': configurationDocument() };
const check = process.argv.includes('--check');

for (const [path, text] of Object.entries(files)) {
  const file = new URL(`../${path}`, import.meta.url);
  if (read(file) === text) continue;
  if (check) {
    console.error(`${path} differs from packages/server/src/config/env.ts: run npm run generate`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, text);
    console.log(`wrote ${path}`);
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}
