import { join } from 'node:path';
import { createViteServer } from 'vitest/node';

export interface ModulePage extends AsyncDisposable {
  readonly url: string;
}

/** Serves a page whose one script is this module, on an origin of its own; it imports what this package can import. */
export async function serveModulePage(source: string): Promise<ModulePage> {
  const script = '/page-script.js';
  const server = await createViteServer({
    configFile: false,
    logLevel: 'silent',
    root: join(import.meta.dirname, '..'),
    appType: 'custom',
    resolve: { conditions: ['@chat-service/source', 'module', 'browser'] },
    // Each file as it is: bundling what a page imports takes longer than the page.
    optimizeDeps: { noDiscovery: true },
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null },
    plugins: [
      {
        name: 'page',
        resolveId: (id) => (id === script ? id : null),
        load: (id) => (id === script ? source : null),
        configureServer: ({ middlewares }) =>
          void middlewares.use((request, response, next) => {
            if (request.url !== '/') return next();
            response.setHeader('Content-Type', 'text/html').end(`<script type="module" src="${script}"></script>`);
          }),
      },
    ],
  });
  await server.listen();
  return { url: server.resolvedUrls?.local[0] ?? '', [Symbol.asyncDispose]: () => server.close() };
}
