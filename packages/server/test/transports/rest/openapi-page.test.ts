import { describe, expect, it } from 'vitest';
import { createDocumentsHttp } from '../../../src/transports/rest/documents-http.ts';

const documents = createDocumentsHttp({ routes: [], version: '1.2.3' });
const get = (path: string, init: RequestInit = {}) =>
  Promise.resolve(documents.request(`http://service.test${path}`, init));

/** Addresses that the page loads scripts from. */
async function scripts(): Promise<string[]> {
  const html = await (await get('/docs')).text();
  return [...html.matchAll(/<script src="([^"]+)">/gu)].map(([, source = '']) => source);
}

describe('the OpenAPI document over HTTP', () => {
  it('is sent with a tag, and not again to who has it', async () => {
    const first = await get('/openapi.json');
    expect(first.headers.get('content-type')).toBe('application/json');
    expect(first.headers.get('cache-control')).toBe('public, no-cache');
    expect(await first.json()).toMatchObject({ openapi: '3.1.0', info: { version: '1.2.3' } });
    const etag = first.headers.get('etag') ?? '';
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      const again = await get('/openapi.json', { headers: { 'if-none-match': known } });
      expect([again.status, again.headers.get('etag'), await again.text()]).toEqual([304, etag, '']);
    }
    const changed = await get('/openapi.json', { headers: { 'if-none-match': '"other"' } });
    expect(changed.status).toBe(200);
  });

  it('answers HEAD without a body', async () => {
    for (const path of ['/openapi.json', '/docs']) {
      const answer = await get(path, { method: 'HEAD' });
      expect([answer.status, await answer.text()]).toEqual([200, '']);
      expect(answer.headers.get('etag')).not.toBeNull();
    }
  });
});

describe('the documentation page', () => {
  it('may ask nobody but its own host', async () => {
    const page = await get('/docs');
    const policy = new Map(
      (page.headers.get('content-security-policy') ?? '').split('; ').map((directive) => {
        const [name = '', ...sources] = directive.split(' ');
        return [name, sources] as const;
      }),
    );
    expect(policy.get('default-src')).toEqual(["'none'"]);
    expect(policy.get('script-src')).toEqual(["'self'"]);
    expect(policy.get('connect-src')).toEqual(["'self'"]);
    const allowed = new Set(["'self'", "'none'", "'unsafe-inline'", 'data:']);
    for (const [name, sources] of policy) {
      expect(sources.filter((source) => !allowed.has(source))).toEqual([]);
      if (name !== 'style-src') expect(sources).not.toContain("'unsafe-inline'");
    }
    expect(page.headers.get('referrer-policy')).toBe('no-referrer');
    expect(await page.text()).not.toMatch(/(?:https?:)?\/\//u);
  });

  it('starts Scalar without fonts, telemetry and proxy of others', async () => {
    const [, start = ''] = await scripts();
    const text = await (await get(`/${start}`)).text();
    expect(text).not.toMatch(/(?:https?:)?\/\//u);
    const [, settings = ''] = /^Scalar\.createApiReference\('#app', (.+)\);\n$/u.exec(text) ?? [];
    expect(JSON.parse(settings)).toMatchObject({
      url: 'openapi.json',
      withDefaultFonts: false,
      telemetry: false,
      proxyUrl: '',
      agent: { disabled: true },
    });
  });

  it('has scripts of its own host, kept for ever and smaller on request', async () => {
    const [bundle = '', start = ''] = await scripts();
    expect([bundle, start]).toEqual([
      expect.stringMatching(/^docs\/scalar-\d+\.\d+\.\d+\.js$/u),
      expect.stringMatching(/^docs\/start-[0-9a-f]{12}\.js$/u),
    ]);
    const plain = await get(`/${bundle}`);
    expect(plain.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(plain.headers.get('content-encoding')).toBeNull();
    const text = await plain.text();
    expect(text).toContain('createApiReference');
    const small = await get(`/${bundle}`, { headers: { 'accept-encoding': 'br, gzip' } });
    expect(small.headers.get('content-encoding')).toBe('gzip');
    const body = new Response(await small.arrayBuffer()).body?.pipeThrough(new DecompressionStream('gzip'));
    expect(await new Response(body).text()).toBe(text);
  });

  it('has no other files', async () => {
    for (const path of ['/docs/package.json', '/docs/..%2fpackage.json', '/docs/__proto__', '/docs/constructor']) {
      expect((await get(path)).status).toBe(404);
    }
    const slash = await get('/docs/');
    expect([slash.status, slash.headers.get('location')]).toEqual([308, '../docs']);
  });
});
