// Writes docs/openapi.json from the procedures of packages/server; `--check` only compares.
// Run with `node --conditions=@chat-service/source scripts/generate-openapi.mjs`.
import { readPackageVersion } from '../packages/server/src/features/system/version.ts';
import { createOpenApiDocument } from '../packages/server/src/transports/rest/openapi/document.ts';
import { createRouteTable } from '../packages/server/src/transports/rest/route-table.ts';
import { declaredRouter } from '../packages/server/test/support/declared-router.ts';
import { writeGenerated } from './generated-file.mjs';

const { routes } = createRouteTable(declaredRouter);
const text = `${JSON.stringify(createOpenApiDocument({ routes, version: readPackageVersion() }), null, 2)}\n`;
const path = 'docs/openapi.json';
writeGenerated(new URL(`../${path}`, import.meta.url), text, `${path} differs from the procedures of packages/server`);
