import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';

/** Workspace packages are tested from their sources; the rest are Vite's defaults for Node. */
const conditions = ['@chat-service/source', 'module', 'node', 'development|production'];

/** Not by `extends`: each project would start its own Postgres. */
function project(
  name: string,
  directory: string,
  include: string,
  more: TestProjectInlineConfiguration['test'] = {},
): TestProjectInlineConfiguration {
  return {
    resolve: { conditions },
    ssr: { resolve: { conditions } },
    test: {
      name,
      root: directory,
      include: [include],
      environment: 'node',
      pool: 'forks',
      // A process for each file would spend a third of the time on imports; no file leaves anything behind for the next.
      isolate: false,
      // These end what hangs, and measure nothing: a machine that has other work to do must not fail a test.
      testTimeout: 300_000,
      hookTimeout: 300_000,
      expect: { poll: { timeout: 120_000 } },
      ...more,
    },
  };
}

/** Specs of the REST door that a proxy which reads an answer to its end, and writes a request anew, cannot stand between. */
const notThroughPrism = ['events', 'follow', 'streams', 'proxy', 'hostile'].map((name) => `specs/rest-${name}.spec.ts`);

export default defineConfig({
  test: {
    globalSetup: ['./vitest.postgres.ts'],
    pool: 'forks',
    isolate: false,
    // More than the cores of a small machine: many specs wait for leases and processes.
    maxWorkers: 3,
    projects: [
      project('shared', './packages/shared', 'test/**/*.test.ts'),
      project('server', './packages/server', 'test/**/*.test.ts'),
      project('client-sdk', './packages/client-sdk', 'test/**/*.test.ts'),
      project('e2e', './apps/e2e', 'specs/**/*.spec.ts'),
      // Again, with every request and answer held against the OpenAPI document.
      project('e2e-prism', './apps/e2e', 'specs/rest-*.spec.ts', {
        env: { REST_THROUGH: 'prism' },
        exclude: notThroughPrism,
      }),
      project('scripts', './scripts', 'test/**/*.test.ts'),
    ],
  },
});
