import { createDecipheriv } from 'node:crypto';
import koffi from 'koffi';
import { AppError } from '../../model/errors.ts';

/** Applies the AES-256-CTR key stream; encryption and decryption are the same. `to` may be `from`. */
export type CounterMode = (iv: Buffer, from: Buffer, to: Buffer) => void;

export function openCounterMode(key: Buffer): CounterMode {
  return openSslCounterMode(key) ?? portableCounterMode(key);
}

/** One reused cipher context of the OpenSSL inside this process: a fresh `Decipheriv` costs ten times a small blob. */
export function openSslCounterMode(key: Buffer): CounterMode | undefined {
  try {
    const self = koffi.load(null);
    const newContext = self.func('void *EVP_CIPHER_CTX_new()');
    const cipher = self.func('void *EVP_aes_256_ctr()');
    const init = self.func(
      'int EVP_EncryptInit_ex(void *ctx, void *cipher, void *engine, const void *key, const void *iv)',
    );
    const update = self.func(
      'int EVP_EncryptUpdate(void *ctx, void *out, void *outLength, const void *in, int inLength)',
    );
    const context: unknown = newContext();
    if (init(context, cipher(), null, key, null) !== 1) return undefined;
    const written = Buffer.alloc(4);
    return (iv, from, to) => {
      if (from.length === 0) return;
      if (
        init(context, null, null, null, iv) !== 1 ||
        update(context, to, written, from, from.length) !== 1
      ) {
        throw new AppError('failed', 'The cipher failed');
      }
    };
  } catch {
    return undefined;
  }
}

export function portableCounterMode(key: Buffer): CounterMode {
  return (iv, from, to) => {
    createDecipheriv('aes-256-ctr', key, iv).update(from).copy(to);
  };
}
