import type { Env } from './env.ts';

/** The Accounting Service that keeps the credits. */
export interface AccountingServiceConfig {
  readonly url: string;
  readonly token: string | undefined;
  /** No answer to a check counts as yes. */
  readonly failOpen: boolean;
}

/** Null where credits are kept here. */
export function readAccountingService(env: Env, problems: string[]): AccountingServiceConfig | null {
  const { ACCOUNTING_URL: url, ACCOUNTING_TOKEN: token, ACCOUNTING_FAIL_OPEN: failOpen } = env;
  if (token !== undefined && !/^[\x21-\x7e]+$/u.test(token)) {
    problems.push('ACCOUNTING_TOKEN must consist of visible ASCII characters, without blanks');
  }
  if (url !== undefined) {
    if (!isServiceUrl(url)) {
      problems.push('ACCOUNTING_URL must be an http or https URL without user, query and fragment');
    }
    return { url, token, failOpen };
  }
  if (token !== undefined) problems.push('ACCOUNTING_TOKEN is set, and ACCOUNTING_URL is not: whom is it for?');
  if (failOpen) {
    problems.push('ACCOUNTING_FAIL_OPEN is true, and ACCOUNTING_URL is not set: the embedded ledger always answers');
  }
  return null;
}

/** Paths are appended to it; `fetch` refuses one with a user, and a token belongs into a header. */
function isServiceUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return false;
  return url.username === '' && url.password === '' && !/[?#]/u.test(text);
}
