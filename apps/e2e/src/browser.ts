import { spawnSync } from 'node:child_process';
import { chromium, type Page } from 'playwright-core';
import { patience } from './call-for.ts';

/** Where this machine has Chromium; null where it has none. */
export const chromiumPath =
  spawnSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).stdout.trim().split('\n')[0] || null;

/** What a browser would do by itself beside showing the page. */
const quiet = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--no-first-run',
];

export interface BrowserPage extends AsyncDisposable {
  readonly page: Page;
  /** URL of everything that the page has asked for, or tried to. */
  readonly asked: readonly string[];
  /** What the page's policy has kept it from, as the browser says it. */
  readonly refused: readonly string[];
  /** What scripts of the page have thrown, and what the console holds as errors. */
  readonly errors: readonly string[];
}

/** An empty page in a browser with a profile of its own, watched from its first request on. */
export async function openBrowserPage(): Promise<BrowserPage> {
  if (chromiumPath === null) throw new Error('there is no Chromium: the suite should not have been registered');
  const options = { executablePath: chromiumPath, args: quiet, chromiumSandbox: false, ...patience };
  const browser = await chromium.launch(options);
  const asked: string[] = [];
  const refused: string[] = [];
  const errors: string[] = [];
  // The context's: workers and frames ask through it, too.
  const context = await browser.newContext();
  context.setDefaultTimeout(patience.timeout);
  context.on('request', (request) => void asked.push(request.url()));
  context.on('weberror', (error) => void errors.push(error.error().message));
  context.on('console', (message) => {
    const isPolicy = message.text().includes('Content Security Policy');
    if (isPolicy) refused.push(message.text());
    else if (message.type() === 'error') errors.push(message.text());
  });
  return {
    page: await context.newPage(),
    asked,
    refused,
    errors,
    [Symbol.asyncDispose]: () => browser.close(),
  };
}
