import { describe, expect, it } from 'vitest';
import { readClaims } from '../../../src/clients/auth/read-claims.ts';

const read = (claims: Record<string, unknown>, { roleClaim = 'role', planClaim = 'plan' } = {}) =>
  readClaims({ sub: 'user-1', exp: 1_790_000_300, ...claims }, { roleClaim, planClaim });

describe('role', () => {
  it.each([
    [{}, 'enduser'],
    [{ role: 'enduser' }, 'enduser'],
    [{ role: 'supervisor' }, 'supervisor'],
    [{ role: 'admin' }, 'admin'],
    [{ role: 'root' }, 'enduser'],
    [{ role: 'Admin' }, 'enduser'],
    [{ role: ' admin' }, 'enduser'],
    [{ role: 'toString' }, 'enduser'],
    [{ role: true }, 'enduser'],
    [{ role: null }, 'enduser'],
    [{ role: { admin: true } }, 'enduser'],
    [{ role: ['supervisor'] }, 'supervisor'],
    [{ roles: [] }, 'enduser'],
    [{ roles: ['supervisor'] }, 'supervisor'],
    [{ roles: ['supervisor', 'admin', 'enduser'] }, 'admin'],
    [{ roles: ['owner', 'supervisor', 7, null, ['admin']] }, 'supervisor'],
    [{ roles: { 0: 'admin' } }, 'enduser'],
    [{ role: 'enduser', roles: ['admin'] }, 'admin'],
    [{ role: 'admin', roles: ['enduser'] }, 'admin'],
  ])('of %j is %s', (claims, role) => {
    expect(read(claims)?.role).toBe(role);
  });

  it.each([
    ['realm_access.roles', { realm_access: { roles: ['offline', 'supervisor'] } }, 'supervisor'],
    ['realm_access.roles', { realm_access: { roles: 'admin' } }, 'admin'],
    ['realm_access.roles', { realm_access: null }, 'enduser'],
    ['realm_access.roles', { realm_access: ['roles'] }, 'enduser'],
    ['https://example.com/role', { 'https://example.com/role': 'admin' }, 'admin'],
    ['a.b', { 'a.b': 'supervisor', a: { b: 'admin' } }, 'supervisor'],
    ['constructor.name', {}, 'enduser'],
    ['__proto__.role', {}, 'enduser'],
    ['a..b', { a: { '': { b: 'admin' } } }, 'admin'],
  ])('is read from the claim %s', (roleClaim, claims, role) => {
    expect(read(claims, { roleClaim })?.role).toBe(role);
  });

  it('is read from no other claim than the one configured', () => {
    expect(read({ role: 'admin', roles: ['admin'] }, { roleClaim: 'app.role' })?.role).toBe('enduser');
  });
});

describe('plan', () => {
  it.each([
    [{}, 'free'],
    [{ plan: 'pro' }, 'pro'],
    [{ plan: '' }, 'free'],
    [{ plan: 7 }, 'free'],
    [{ plan: ['pro'] }, 'free'],
    [{ plan: 'x'.repeat(256) }, 'free'],
    [{ plan: 'a\u0000' }, 'free'],
  ])('of %j is %s', (claims, plan) => {
    expect(read(claims)?.plan).toBe(plan);
  });

  it('is read from the claim configured', () => {
    expect(read({ plan: 'pro', billing: { plan: 'team' } }, { planClaim: 'billing.plan' })?.plan).toBe('team');
  });
});

describe('username and email', () => {
  it.each(['username', 'email'] as const)('%s is kept as it is, or absent', (name) => {
    for (const text of ['ada', 'Ada Lovelace', 'ada@example.com', '😀'.repeat(320), '%_\\', ' ']) {
      expect(read({ [name]: text })?.[name]).toBe(text);
    }
    for (const value of [undefined, null, '', 7, {}, ['ada'], 'x'.repeat(321), 'a\u0000b', '\udc00']) {
      expect(read({ [name]: value })?.[name]).toBeNull();
    }
  });
});

describe('times', () => {
  it('iat is absent where it is none', () => {
    expect(read({ iat: 1_790_000_000 })?.issuedAt).toBe(1_790_000_000);
    for (const iat of [undefined, 'x', 1e300, Infinity]) expect(read({ iat })?.issuedAt).toBeNull();
  });

  it('exp beyond every date is none', () => {
    expect(read({ exp: 1e300 })).toBeUndefined();
    expect(read({ exp: Infinity })).toBeUndefined();
  });
});
