import { poly1305 } from '@noble/ciphers/_poly1305.js';
import koffi from 'koffi';
import { AppError } from '../../model/errors.ts';

/** Leaves the Poly1305 tag of `text` in the 16 bytes of `tag`. The key, 32 bytes, is for this text alone. */
export type Authenticator = (tag: Buffer, text: Buffer, oneTimeKey: Buffer) => void;

const keyLength = 32;

export function openAuthenticator(): Authenticator {
  return openSslAuthenticator() ?? openPortableAuthenticator();
}

/** The OpenSSL inside this process, which uses the vector units. */
export function openSslAuthenticator(): Authenticator | undefined {
  try {
    const self = koffi.load(null);
    const fetch = self.func('void *EVP_MAC_fetch(void *library, str name, str properties)');
    const newContext = self.func('void *EVP_MAC_CTX_new(void *mac)');
    const init = self.func(
      'int EVP_MAC_init(void *ctx, const void *key, size_t keyLength, void *parameters)',
    );
    const update = self.func('int EVP_MAC_update(void *ctx, const void *data, size_t length)');
    const final = self.func('int EVP_MAC_final(void *ctx, void *tag, void *tagLength, size_t room)');
    const mac: unknown = fetch(null, 'POLY1305', null);
    if (mac === null) return undefined;
    const context: unknown = newContext(mac);
    const written = Buffer.alloc(8);
    return (tag, text, oneTimeKey) => {
      if (
        init(context, oneTimeKey, keyLength, null) !== 1 ||
        update(context, text, text.length) !== 1 ||
        final(context, tag, written, tag.length) !== 1
      ) {
        throw new AppError('failed', 'The authenticator failed');
      }
    };
  } catch {
    return undefined;
  }
}

/** In JavaScript, for a Node.js that does not show its OpenSSL: some 200 MB a second. */
export function openPortableAuthenticator(): Authenticator {
  return (tag, text, oneTimeKey) => tag.set(poly1305(text, oneTimeKey));
}
