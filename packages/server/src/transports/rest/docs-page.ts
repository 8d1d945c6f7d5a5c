import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { z } from 'zod';

const compress = promisify(gzip);
const require = createRequire(import.meta.url);

/** A file of the page, in both forms that it is sent in. */
export interface DocsScript {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly compressed: Uint8Array<ArrayBuffer>;
}

export interface DocsPage {
  readonly html: string;
  /** The scripts of the page by file name; a name stands for its content for ever. Null for an unknown one. */
  script(name: string): Promise<DocsScript> | null;
}

/**
 * Nothing but this host is ever asked, whatever the page's scripts try. Styles are the exception that the page needs: it
 * puts its own into the document.
 */
export const docsPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** What Scalar would do by itself and may not here: fonts, telemetry, a proxy for requests, and offers of its makers. */
const settings = {
  url: 'openapi.json',
  pageTitle: 'Chat Service',
  withDefaultFonts: false,
  telemetry: false,
  proxyUrl: '',
  persistAuth: false,
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
  authentication: { preferredSecurityScheme: 'bearer' },
  modelsSectionLabel: 'Schemas',
  defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' },
};

const start = `Scalar.createApiReference('#app', ${JSON.stringify(settings)});\n`;

/** The documentation page: Scalar's own bundle, and the line that starts it. Addresses are relative, to work under any prefix. */
export function createDocsPage(): DocsPage {
  const modules = dirname(require.resolve('@scalar/api-reference'));
  const manifest: unknown = JSON.parse(readFileSync(join(modules, '../package.json'), 'utf8'));
  const { version } = z.object({ version: z.string() }).parse(manifest);
  const startName = `start-${createHash('sha256').update(start).digest('hex').slice(0, 12)}.js`;
  const scalarName = `scalar-${version}.js`;
  const read = new Map<string, Promise<DocsScript>>();
  const sources: Readonly<Record<string, () => Promise<Uint8Array<ArrayBuffer>>>> = {
    [scalarName]: () => readFile(join(modules, 'browser/standalone.js')),
    [startName]: () => Promise.resolve(new TextEncoder().encode(start)),
  };

  return {
    html: [
      '<!doctype html>',
      '<html lang="en">',
      '<head>',
      '<meta charset="utf-8">',
      '<meta name="viewport" content="width=device-width, initial-scale=1">',
      '<title>Chat Service</title>',
      '<link rel="icon" href="data:,">',
      '</head>',
      '<body>',
      '<div id="app"></div>',
      '<noscript>This page needs scripts. The document itself is <a href="openapi.json">openapi.json</a>.</noscript>',
      `<script src="docs/${scalarName}"></script>`,
      `<script src="docs/${startName}"></script>`,
      '</body>',
      '</html>',
      '',
    ].join('\n'),
    script(name) {
      const source = Object.hasOwn(sources, name) ? sources[name] : undefined;
      if (source === undefined) return null;
      const known = read.get(name) ?? source().then(async (body) => ({ body, compressed: await compress(body) }));
      read.set(name, known);
      return known;
    },
  };
}
