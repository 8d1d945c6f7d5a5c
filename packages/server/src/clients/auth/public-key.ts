import { createPublicKey, type KeyObject } from 'node:crypto';

/** The signature algorithms that a public key can stand for here. */
export type PublicKeyAlgorithm = 'RS256' | 'ES256' | 'EdDSA';

export type PublicKeyReading =
  | { readonly ok: true; readonly key: KeyObject; readonly algorithm: PublicKeyAlgorithm }
  /** Follows the variable's name in a sentence; repeats nothing of the key. */
  | { readonly ok: false; readonly problem: string };

/** A shorter RSA key is no protection. */
export const minRsaBits = 2048;

/** Reads a PEM public key (or a certificate's) and the one algorithm that goes with its type. */
export function readPublicKey(pem: string): PublicKeyReading {
  const text = pem.replaceAll(String.raw`\n`, '\n').trim();
  const blocks = text.match(/-----BEGIN [A-Z0-9 ]+-----/g) ?? [];
  const [first] = blocks;
  if (first === undefined) return { ok: false, problem: 'is not a PEM public key' };
  // Node would derive the public half: a private key has no business in a service that only verifies.
  if (text.includes('PRIVATE KEY'))
    return { ok: false, problem: 'holds a private key; configure only its public half' };
  if (blocks.length > 1) return { ok: false, problem: 'holds more than one key; use AUTH_JWKS_URL to rotate keys' };
  if (!/^-----BEGIN (PUBLIC KEY|RSA PUBLIC KEY|CERTIFICATE)-----$/.test(first)) {
    return { ok: false, problem: 'is neither a public key nor a certificate' };
  }
  let key: KeyObject;
  try {
    key = createPublicKey(text);
  } catch {
    return { ok: false, problem: 'cannot be read as a PEM public key' };
  }
  return withAlgorithm(key);
}

function withAlgorithm(key: KeyObject): PublicKeyReading {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      if (modulusLength < minRsaBits) {
        return { ok: false, problem: `is an RSA key of ${modulusLength} bits; at least ${minRsaBits} are needed` };
      }
      return { ok: true, key, algorithm: 'RS256' };
    case 'ec':
      if (namedCurve !== 'prime256v1') {
        return { ok: false, problem: `is on the curve ${namedCurve}; ES256 needs P-256` };
      }
      return { ok: true, key, algorithm: 'ES256' };
    case 'ed25519':
      return { ok: true, key, algorithm: 'EdDSA' };
    default:
      return { ok: false, problem: `is of the type ${key.asymmetricKeyType}; RSA, P-256 and Ed25519 are supported` };
  }
}
