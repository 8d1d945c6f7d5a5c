// Writes docs/openapi.json from the procedures of packages/server; `--check` only compares.
// Run with `node --conditions=@chat-service/source scripts/generate-openapi.mjs`.
import { readFileSync, writeFileSync } from 'node:fs';
import { readPackageVersion } from '../packages/server/src/features/system/version.ts';
import { createOpenApiDocument } from '../packages/server/src/transports/rest/openapi/document.ts';
import { createRouteTable } from '../packages/server/src/transports/rest/route-table.ts';
import { declaredRouter } from '../packages/server/test/support/declared-router.ts';

const path = 'docs/openapi.json';
const file = new URL(`../${path}`, import.meta.url);
const { routes } = createRouteTable(declaredRouter);
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
