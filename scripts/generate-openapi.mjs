// Writes docs/openapi.json from the procedures of packages/server; `--check` only compares.
// Run with `node --conditions=@chat-service/source scripts/generate-openapi.mjs`.
import { readFileSync, writeFileSync } from 'node:fs';
import { createAppRouter } from '../packages/server/src/app-router.ts';
import { createMessageRouter } from '../packages/server/src/features/messages/message-router.ts';
import { createModelRouter } from '../packages/server/src/features/models/model-router.ts';
import { createSessionRouter } from '../packages/server/src/features/sessions/session-router.ts';
import { createSystemRouter } from '../packages/server/src/features/system/system-router.ts';
import { readPackageVersion } from '../packages/server/src/features/system/version.ts';
import { createOpenApiDocument } from '../packages/server/src/transports/rest/openapi/document.ts';
import { createRouteTable } from '../packages/server/src/transports/rest/route-table.ts';

const path = 'docs/openapi.json';
const file = new URL(`../${path}`, import.meta.url);
// What is declared is read, nothing is called: the operations behind the procedures are not needed.
const router = createAppRouter({
  session: createSessionRouter({}),
  message: createMessageRouter({}),
  model: createModelRouter({}),
  system: createSystemRouter({}),
});
const { routes } = createRouteTable(router);
const text = `${JSON.stringify(createOpenApiDocument({ routes, version: readPackageVersion() }), null, 2)}\n`;

if (read() !== text) {
  if (process.argv.includes('--check')) {
    console.error(`${path} differs from the procedures of packages/server: run npm run generate`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, text);
    console.log(`wrote ${path}`);
  }
}

function read() {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}
