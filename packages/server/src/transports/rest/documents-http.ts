import { createHash } from 'node:crypto';
import { Hono } from 'hono';
import { createDocsPage, docsPolicy, type DocsPage } from './docs-page.ts';
import { createOpenApiDocument } from './openapi/document.ts';
import type { RestRoute } from './route-table.ts';

export interface DocumentsHttpOptions {
  readonly routes: readonly RestRoute[];
  /** Of the service. */
  readonly version: string;
}

/** Paths below /api that have documents, for the methods that they do not know. */
export const documentPaths = ['/openapi.json', '/docs', '/docs/:file'] as const;

/** May be kept by anyone, and is asked about before it is used: a new version shows at once. */
const revalidated = 'public, no-cache';
/** A name stands for its content, so it never has to be asked about. */
const immutable = 'public, max-age=31536000, immutable';

/** The OpenAPI document and the page that shows it: public, and made when first asked for. */
export function createDocumentsHttp({ routes, version }: DocumentsHttpOptions): Hono {
  let document: Kept | null = null;
  let shown: { readonly page: DocsPage; readonly html: Kept } | null = null;

  function show() {
    if (shown !== null) return shown;
    const page = createDocsPage();
    shown = { page, html: keep(page.html) };
    return shown;
  }

  return new Hono()
    .get('/openapi.json', ({ req }) => {
      document ??= keep(JSON.stringify(createOpenApiDocument({ routes, version })));
      return answer(document, req.raw, { 'Content-Type': 'application/json' });
    })
    .get('/docs', ({ req }) =>
      answer(show().html, req.raw, {
        'Content-Type': 'text/html; charset=utf-8',
        'Content-Security-Policy': docsPolicy,
        'Referrer-Policy': 'no-referrer',
      }),
    )
    .get('/docs/', () => new Response(null, { status: 308, headers: { Location: '../docs' } }))
    .get('/docs/:file', async ({ req, notFound }) => {
      const script = await show().page.script(req.param('file'));
      if (script === null) return notFound();
      const isCompressed = /\bgzip\b/u.test(req.header('accept-encoding') ?? '');
      return new Response(isCompressed ? script.compressed : script.body, {
        headers: {
          'Content-Type': 'text/javascript; charset=utf-8',
          'Cache-Control': immutable,
          Vary: 'Accept-Encoding',
          ...(isCompressed && { 'Content-Encoding': 'gzip' }),
        },
      });
    });
}

interface Kept {
  readonly text: string;
  readonly etag: string;
}

function keep(text: string): Kept {
  return { text, etag: `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"` };
}

function answer({ text, etag }: Kept, { headers: asked }: Request, own: Record<string, string>): Response {
  const headers = { ...own, ETag: etag, 'Cache-Control': revalidated };
  const known = asked.get('if-none-match')?.split(',') ?? [];
  // An intermediary that compresses makes the tag a weak one.
  const isKnown = known.some((tag) => tag.trim().replace(/^W\//u, '') === etag);
  return isKnown ? new Response(null, { status: 304, headers }) : new Response(text, { headers });
}
