// Writes .env.example and docs/configuration.md from the server's configuration schema; `--check` only compares.
// Run with `node --conditions=@chat-service/source scripts/generate-configuration.mjs`.
import { configurationDocument, envExample } from '../packages/server/src/config/documents.ts';
import { writeGenerated } from './generated-file.mjs';

const files = { '.env.example': envExample(), 'docs/configuration.md': configurationDocument() };
for (const [path, text] of Object.entries(files)) {
  writeGenerated(
    new URL(`../${path}`, import.meta.url),
    text,
    `${path} differs from packages/server/src/config/env.ts`,
  );
}
