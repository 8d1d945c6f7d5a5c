import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { configurationDocument, envExample } from '../../src/config/documents.ts';
import { variableNames } from '../../src/config/env.ts';

function committed(path: string): string {
  return readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8');
}

describe('generated documents', () => {
  it('are what is committed', () => {
    expect(committed('.env.example')).toBe(envExample());
    expect(committed('docs/configuration.md')).toBe(configurationDocument());
  });

  it('name every variable', () => {
    for (const name of variableNames) {
      expect(envExample()).toMatch(new RegExp(`^# ${name}=.`, 'mu'));
      expect(configurationDocument()).toContain(`| \`${name}\` |`);
    }
  });

  it('change nothing when the example is copied as it is', () => {
    expect(parseEnv(envExample())).toEqual({});
  });

  it('give no secret that a service would start with', () => {
    const env = parseEnv(envExample().replaceAll('# AUTH_JWT_SECRET=', 'AUTH_JWT_SECRET='));
    expect(loadConfig(env, { readTextFile: () => '' }).ok).toBe(false);
  });
});
