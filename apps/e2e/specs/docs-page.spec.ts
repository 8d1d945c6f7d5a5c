import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { chromiumPath, openBrowserPage } from '../src/browser.ts';
import { patience } from '../src/call-for.ts';
import { callRest } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld({ kind: 'sqlite' });
});
afterAll(() => world[Symbol.asyncDispose]());

it('the documentation page finds its scripts and its document where it is', async () => {
  const page = new URL(`${world.url}/api/docs`);
  const html = await (await fetch(page)).text();
  const addresses = [...html.matchAll(/(?:src|href)="([^"]*)"/gu)].map(([, address = '']) => new URL(address, page));
  const found = addresses.filter(({ protocol }) => protocol !== 'data:');
  expect(found).toHaveLength(3);
  for (const { href, origin } of found) {
    expect([href, origin, (await fetch(href)).status]).toEqual([href, world.url, 200]);
  }
});

if (chromiumPath === null) {
  console.warn('There is no Chromium on this machine: the documentation page is not tried in a browser.');
} else {
  describe('the documentation page in Chromium', () => {
    it('lists the sessions of whom a pasted token is, and asks no other host', async () => {
      await using opened = await openBrowserPage();
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
      await using opened = await openBrowserPage();
      const { page, asked, refused } = opened;
      await page.goto(`${world.url}/api/docs`);
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
