import { expect, it, vi } from 'vitest';
import { chromiumPath, openBrowserPage } from '../src/browser.ts';
import { callFor, patience } from '../src/call-for.ts';
import { releaseChunk } from '../src/held-answer.ts';
import { serveModulePage } from '../src/module-page.ts';
import { startWorld } from '../src/world.ts';

/** The page of an app: what it has come to know is on `seen`. */
const app = `
  import { createChatClient } from '@chat-service/client-sdk';

  window.seen = { text: '', outcome: null };
  window.chat = async ({ url, token, refused, message }) => {
    const chat = createChatClient({ url, token: ({ refresh }) => (refresh ? token : refused) });
    const { sessionId } = await chat.sessions.create({ title: 'From a browser' });
    const stream = chat.messages.stream({ sessionId, message });
    stream.on('text', ({ snapshot }) => { seen.text = snapshot; });
    const answer = await stream.finalMessage();
    const titles = [];
    for await (const { title } of chat.sessions.list()) titles.push(title);
    const error = await chat.sessions.get({ sessionId: 'nonsense' }).catch((error) => error);
    seen.outcome = { status: answer.status, content: answer.content, titles, refusal: [error.name, error.code] };
    await chat.close();
  };
`;

it('the client imports nothing that a browser lacks', async () => {
  await using served = await serveModulePage(app);
  const waiting = [new URL('page-script.js', served.url).href];
  const read = new Set<string>();
  for (let url = waiting.pop(); url !== undefined; url = waiting.pop()) {
    if (read.has(url)) continue;
    read.add(url);
    const script = await (await fetch(url)).text();
    for (const [, specifier = ''] of script.matchAll(/(?:from|import) ?"([^"]+)"/gu)) {
      expect(specifier, url).toMatch(/^\.{0,2}\//u);
      expect(specifier, url).not.toMatch(/browser-external/u);
      waiting.push(new URL(specifier, url).href);
    }
  }
  expect([...read].filter((url) => url.includes('/client-sdk/src/')).length).toBeGreaterThan(10);
});

if (chromiumPath === null) {
  console.warn('There is no Chromium on this machine: the client is not tried in a browser.');
} else {
  it('the client streams, lists and is refused in a browser, from a page of another origin', async () => {
    await using world = await startWorld({ kind: 'sqlite' });
    await using served = await serveModulePage(app);
    await using opened = await openBrowserPage();
    const { page, errors } = opened;
    const message = 'Hello from a browser';
    const chunks = ['one', ' two', ' three'];
    world.openai.script(message, { chunks, hold: 'every' });
    await page.goto(served.url);
    await page.waitForFunction('window.chat');
    const asked = { url: world.url, token: await world.token(), refused: 'not a token', message };
    // Of the page's own world: nothing of it is typed here.
    const outcome = page.evaluate(`chat(${JSON.stringify(asked)})`);
    const call = await callFor(world.openai, message);
    for (const [index] of chunks.entries()) {
      await releaseChunk(call, index);
      const soFar = chunks.slice(0, index + 1).join('');
      await vi.waitFor(async () => expect(await page.evaluate('seen.text')).toBe(soFar), patience);
    }
    call.releaseAll();
    await outcome;
    expect(await page.evaluate('seen.outcome')).toEqual({
      status: 'complete',
      content: 'one two three',
      titles: ['From a browser'],
      refusal: ['BadRequestError', 'BAD_REQUEST'],
    });
    // The browser tells of refused calls by itself.
    expect(errors.filter((text) => !text.startsWith('Failed to load resource'))).toEqual([]);
  });
}
