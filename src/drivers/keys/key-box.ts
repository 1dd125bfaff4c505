import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, scryptSync } from 'node:crypto';

/** A text, sealed by a secret: AES-256-GCM with a key that is made of the secret. */
export interface KeyBox {
  readonly salt: string;
  readonly nonce: string;
  readonly sealed: string;
}

/** 128 MiB and about a third of a second: a guess at a passphrase is dear. */
const cost = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };
const tagBytes = 16;

export interface BoxSecret {
  readonly secret: Uint8Array;
  /** Chosen by a person: it is stretched by scrypt, which a random key does not need. */
  readonly isPassphrase: boolean;
}

export function sealBox(text: string, secret: BoxSecret): KeyBox {
  const [salt, nonce] = [randomBytes(32), randomBytes(12)];
  const cipher = createCipheriv('aes-256-gcm', keyFrom(secret, salt), nonce);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return {
    salt: salt.toString('base64'),
    nonce: nonce.toString('base64'),
    sealed: sealed.toString('base64'),
  };
}

/** Undefined when the secret is another one, or the box was changed. */
export function openBox(box: KeyBox, secret: BoxSecret): string | undefined {
  const sealed = Buffer.from(box.sealed, 'base64');
  const [body, tag] = [sealed.subarray(0, -tagBytes), sealed.subarray(-tagBytes)];
  try {
    const key = keyFrom(secret, Buffer.from(box.salt, 'base64'));
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(box.nonce, 'base64'));
    decipher.setAuthTag(tag);
    return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

export function isBox(value: unknown): value is KeyBox {
  if (typeof value !== 'object' || value === null) return false;
  const { salt, nonce, sealed } = value as Partial<KeyBox>;
  return [salt, nonce, sealed].every((text) => typeof text === 'string');
}

function keyFrom({ secret, isPassphrase }: BoxSecret, salt: Buffer): Buffer {
  const stretched = isPassphrase ? scryptSync(secret, salt, 32, cost) : secret;
  const context = `holdfast volume key, wrapped by ${isPassphrase ? 'a passphrase' : 'the master key'}`;
  return Buffer.from(hkdfSync('sha256', stretched, salt, context, 32));
}
