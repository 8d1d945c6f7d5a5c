import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { chromiumPath, openBrowserPage, type BrowserPage } from '../src/browser.ts';
import { patience } from '../src/call-for.ts';
import { callRest } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld({ kind: 'sqlite' });
});
afterAll(() => world[Symbol.asyncDispose]());

describe('the documentation page', () => {
  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${world.url}${path}`, { headers, redirect: 'manual' });

  it('names nothing of another host, and its policy allows nothing of one', async () => {
    const answer = await get('/api/docs');
    const html = await answer.text();
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect([...html.matchAll(/(?:src|href)="([^"]*)"/gu)].map(([, address = '']) => address)).toEqual([
      'data:,',
      'openapi.json',
      expect.stringMatching(/^docs\/scalar-[\d.]+\.js$/u),
      expect.stringMatching(/^docs\/start-[0-9a-f]+\.js$/u),
    ]);
    expect(html).not.toContain('://');
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    const sources = policy.split('; ').flatMap((directive) => directive.split(' ').slice(1));
    expect(new Set(sources)).toEqual(new Set(["'none'", "'self'", "'unsafe-inline'", 'data:']));
    expect(policy).toContain("script-src 'self';");
  });

  it('is asked about again, and its scripts are kept for ever', async () => {
    for (const path of ['/api/docs', '/api/openapi.json']) {
      const { headers } = await get(path);
      expect([path, headers.get('cache-control')]).toEqual([path, 'public, no-cache']);
      const etag = headers.get('etag') ?? '';
      for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
        const again = await get(path, { 'if-none-match': known });
        expect([path, again.status, await again.text()]).toEqual([path, 304, '']);
      }
      expect((await get(path, { 'if-none-match': '"other"' })).status).toBe(200);
    }
    const html = await (await get('/api/docs')).text();
    for (const [, script = ''] of html.matchAll(/script src="([^"]*)"/gu)) {
      const plain = await get(`/api/${script}`, { 'accept-encoding': 'identity' });
      expect([script, plain.headers.get('content-encoding')]).toEqual([script, null]);
      const packed = await get(`/api/${script}`, { 'accept-encoding': 'gzip' });
      expect([script, packed.headers.get('content-encoding')]).toEqual([script, 'gzip']);
      expect(packed.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      expect(await packed.text()).toBe(await plain.text());
    }
  });

  it('is nothing else: no other file, and one address', async () => {
    for (const path of ['/api/docs/nothing.js', '/api/docs/package.json', '/api/docs/..%2Fpackage.json']) {
      const answer = await get(path);
      expect([path, answer.status, answer.headers.get('content-type')]).toEqual([
        path,
        404,
        'application/problem+json',
      ]);
    }
    const slash = await get('/api/docs/');
    const { href } = new URL(slash.headers.get('location') ?? '', `${world.url}/api/docs/`);
    expect([slash.status, href]).toEqual([308, `${world.url}/api/docs`]);
  });
});

if (chromiumPath === null) {
  console.warn('There is no Chromium on this machine: the documentation page is not tried in a browser.');
} else {
  describe('the documentation page in Chromium', () => {
    let opened: BrowserPage;
    beforeAll(async () => {
      opened = await openBrowserPage();
    });
    afterAll(() => opened[Symbol.asyncDispose]());

    it('lists the sessions of whom a pasted token is, and asks no other host', { timeout: 60_000 }, async () => {
      const { page, asked, refused, errors } = opened;
      const { body } = await callRest<{ sessionId: string }>(world, 'POST /api/chat/sessions', {
        body: { title: 'Seen in a browser' },
      });
      await page.goto(`${world.url}/api/docs`);
      const token = await world.token();
      await page.getByRole('textbox', { name: 'Bearer Token' }).fill(token);
      await page.getByRole('link', { name: 'newest activity first' }).click();
      await page.getByRole('button', { name: 'Test Request (get /api/chat/sessions)' }).click();
      const client = page.getByRole('dialog');
      const answered = page.waitForResponse((response) => response.url() === `${world.url}/api/chat/sessions`);
      await client.getByRole('button', { name: 'Send get request' }).click();
      const answer = await answered;
      expect(answer.status()).toBe(200);
      expect(await answer.json()).toMatchObject({ sessions: [{ id: body.sessionId, title: 'Seen in a browser' }] });
      await client.getByRole('link', { name: '200 OK' }).waitFor();
      await client.getByText('Seen in a browser').waitFor();

      expect(asked).toContain(`${world.url}/api/openapi.json`);
      expect(asked.filter((url) => !/^(?:data|blob):/u.test(url) && new URL(url).origin !== world.url)).toEqual([]);
      expect([refused, errors]).toEqual([[], []]);
      expect(await page.evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie])')).not.toContain(
        token,
      );
    });

    // Without this the silence above could be deafness.
    it('could not ask one if it wanted to, and it would be noticed', async () => {
      const { page, asked, refused } = opened;
      const elsewhere = 'https://elsewhere.example';
      await page.evaluate(
        `new Image().src = '${elsewhere}/image.png'; void fetch('${elsewhere}/data').catch(() => {});`,
      );
      await vi.waitFor(() => {
        expect(asked.filter((url) => url.startsWith(elsewhere))).not.toEqual([]);
        expect(refused.filter((text) => text.includes(`${elsewhere}/data`))).not.toEqual([]);
        expect(refused.filter((text) => text.includes(`${elsewhere}/image.png`))).not.toEqual([]);
      }, patience);
    });
  });
}
