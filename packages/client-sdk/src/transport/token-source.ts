import { TokenError } from '../errors.ts';

/**
 * A token, or a function that gives one. The function is asked before the first request and again, with `refresh: true`,
 * when the server refused the last token or closed a connection because it had expired; in between the client keeps what
 * it was given. A function that keeps tokens itself must get a new one when `refresh` is true.
 */
export type TokenProvider = string | ((request: { refresh: boolean }) => string | Promise<string>);

export interface Token {
  readonly value: string;
  /** Counts the tokens that the provider has given. */
  readonly version: number;
}

export interface TokenSource {
  /** False for a fixed token: there is no point in asking again. */
  readonly renewable: boolean;
  /** @throws {TokenError} when the token function throws */
  get(): Promise<Token>;
  /** Says that the server does not take that version any more. A version that has been replaced already is no news. */
  refuse(version: number): void;
}

export function createTokenSource(provider: TokenProvider): TokenSource {
  if (typeof provider === 'string') {
    const token = { value: provider, version: 1 };
    return { renewable: false, get: () => Promise.resolve(token), refuse: () => {} };
  }
  let current: Token | null = null;
  let refresh = false;
  let version = 0;
  let asking: Promise<Token> | null = null;

  async function ask(getToken: Exclude<TokenProvider, string>): Promise<Token> {
    try {
      const value = await getToken({ refresh });
      version += 1;
      current = { value, version };
      return current;
    } catch (error) {
      throw new TokenError(error);
    } finally {
      asking = null;
    }
  }

  return {
    renewable: true,
    get() {
      if (current !== null) return Promise.resolve(current);
      // All who wait share one question.
      asking ??= ask(provider);
      return asking;
    },
    refuse(refused) {
      if (current?.version !== refused) return;
      current = null;
      refresh = true;
    },
  };
}
