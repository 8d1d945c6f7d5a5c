import { expect, it } from 'vitest';
import { redactText } from '../../src/platform/redaction.ts';

it.each([
  ['Bearer s3cr3t', 'Bearer [redacted]'],
  ['authorization: BEARER  s3cr3t.part', 'authorization: BEARER  [redacted]'],
  ['got eyJhbGciOiJub25lIn0.s3cr3t. here', 'got [redacted] here'],
  ['/trpc?token=s3cr3t&x=1', '/trpc?token=[redacted]&x=1'],
  ['/trpc?a=1&Access_Token=s3cr3t', '/trpc?a=1&Access_Token=[redacted]'],
  ['amqp://chat:s3cr3t@db.example.com/chat', 'amqp://chat:[redacted]@db.example.com/chat'],
  ['HTTPS://:s3cr3t@cache', 'HTTPS://:[redacted]@cache'],
])('hides the only credential of %j', (text, hidden) => {
  expect(redactText(text)).toBe(hidden);
});

it.each(['', 'eyJ', 'token = 5', '/api/chat/sessions', 'https://example.com/?tokens=2'])(
  'leaves %j as it is',
  (text) => {
    expect(redactText(text)).toBe(text);
  },
);
