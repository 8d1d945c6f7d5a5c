import { expect, it } from 'vitest';
import { likelyTypos } from '../../src/config/likely-typos.ts';

it.each([
  ['AUTH_ISSUR', 'AUTH_ISSUER'],
  ['AUTH_JWT_SERCET', 'AUTH_JWT_SECRET'],
  ['STREAM_BUFFER_SECOND', 'STREAM_BUFFER_SECONDS'],
  ['LOG_LEVLE', 'LOG_LEVEL'],
])('%s', (name, meant) => {
  expect(likelyTypos({ [name]: 'x', HOME: '/root' })).toEqual([{ name, meant }]);
});

it.each(['AUTH_ISSUER', 'AUTH_TOKEN', 'OPENAI_ORG_ID', 'LOG_FORMAT', 'POST', 'HOSTS', 'PATH', 'AUT_ISSUER'])(
  '%s is none',
  (name) => {
    expect(likelyTypos({ [name]: 'x' })).toEqual([]);
  },
);
