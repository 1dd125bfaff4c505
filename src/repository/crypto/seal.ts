import {
  type Cipheriv,
  createCipheriv,
  createDecipheriv,
  randomFillSync,
  timingSafeEqual,
} from 'node:crypto';
import { poly1305 } from '@noble/ciphers/_poly1305.js';
import koffi from 'koffi';
import { AppError } from '../../model/errors.ts';

/** The three secrets of a repository: AES-256-CTR for secrecy, Poly1305-AES (k, r) for authenticity. */
export interface MasterKey {
  /** 32 bytes. */
  readonly encrypt: Uint8Array;
  /** 16 bytes: the AES-128 key that turns a nonce into Poly1305's s. */
  readonly macK: Uint8Array;
  /** 16 bytes: Poly1305's r. */
  readonly macR: Uint8Array;
}

interface Primitives {
  readonly openCounter: (key: Buffer) => CounterMode;
  readonly openMac: () => Authenticator;
}

const fastest: Primitives = { openCounter: openCounterMode, openMac: openAuthenticator };

const ivLength = 16;
const macLength = 16;

/** Bytes that sealing adds. */
export const sealOverhead = ivLength + macLength;

/** Seals and opens messages with one key: IV || ciphertext || MAC, as in restic's design document. */
export class Sealer {
  readonly #key: Buffer;
  readonly #nonceCipher: Cipheriv;
  readonly #oneTimeKey = Buffer.alloc(32);
  readonly #mac = Buffer.alloc(macLength);
  readonly #ctr: CounterMode;
  readonly #poly1305: Authenticator;
  /** Unused random bytes: requesting many at once is ten times cheaper. */
  readonly #nonces = Buffer.alloc(256 * ivLength);
  #noncesUsed = this.#nonces.length;

  constructor(key: MasterKey, { openCounter, openMac }: Primitives = fastest) {
    this.#key = Buffer.from(key.encrypt);
    this.#nonceCipher = createCipheriv('aes-128-ecb', key.macK, null).setAutoPadding(false);
    this.#oneTimeKey.set(key.macR, 0);
    this.#ctr = openCounter(this.#key);
    this.#poly1305 = openMac();
  }

  /**
   * Seals `length` bytes that already lie in `buffer` at `offset + 16`, in place; `buffer` needs room for
   * `length + 32` bytes from `offset`. Returns the sealed length.
   */
  sealInPlace(buffer: Buffer, offset: number, length: number): number {
    const iv = buffer.subarray(offset, offset + ivLength);
    this.#nextNonce().copy(iv);
    const text = buffer.subarray(offset + ivLength, offset + ivLength + length);
    this.#ctr(iv, text, text);
    this.#authenticate(iv, text);
    this.#mac.copy(buffer, offset + ivLength + length);
    return length + sealOverhead;
  }

  seal(plain: Uint8Array): Buffer {
    const sealed = Buffer.allocUnsafe(plain.length + sealOverhead);
    sealed.set(plain, ivLength);
    this.sealInPlace(sealed, 0, plain.length);
    return sealed;
  }

  /** Opens a message in place and returns the part of `sealed` that now holds the plain bytes. `integrity` when it was altered. */
  openInPlace(sealed: Buffer): Buffer {
    if (sealed.length < sealOverhead) throw new AppError('integrity', 'A sealed message is too short');
    const iv = sealed.subarray(0, ivLength);
    const text = sealed.subarray(ivLength, sealed.length - macLength);
    this.#authenticate(iv, text);
    if (!timingSafeEqual(this.#mac, sealed.subarray(sealed.length - macLength))) {
      throw new AppError('integrity', 'A sealed message was altered or sealed with another key');
    }
    this.#ctr(iv, text, text);
    return text;
  }

  #nextNonce(): Buffer {
    if (this.#noncesUsed === this.#nonces.length) {
      randomFillSync(this.#nonces);
      this.#noncesUsed = 0;
    }
    this.#noncesUsed += ivLength;
    return this.#nonces.subarray(this.#noncesUsed - ivLength, this.#noncesUsed);
  }

  /** Leaves the Poly1305-AES tag of `text` in `#mac`. */
  #authenticate(iv: Buffer, text: Buffer): void {
    this.#oneTimeKey.set(this.#nonceCipher.update(iv), 16);
    this.#poly1305(this.#mac, text, this.#oneTimeKey);
  }
}

/**
 * Leaves the Poly1305 tag of `text` in the 16 bytes of `tag`. The key, 32 bytes, must be used for this text
 * only.
 */
type Authenticator = (tag: Buffer, text: Buffer, oneTimeKey: Buffer) => void;

const keyLength = 32;

function openAuthenticator(): Authenticator {
  return openSslAuthenticator() ?? openPortableAuthenticator();
}

/** Uses the OpenSSL in this process, and so the vector units. */
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

/** In JavaScript, for a Node.js that does not expose its OpenSSL: about 200 MB a second. */
export function openPortableAuthenticator(): Authenticator {
  return (tag, text, oneTimeKey) => tag.set(poly1305(text, oneTimeKey));
}

/** Applies the AES-256-CTR key stream; encryption and decryption are the same. `to` may be `from`. */
type CounterMode = (iv: Buffer, from: Buffer, to: Buffer) => void;

function openCounterMode(key: Buffer): CounterMode {
  return openSslCounterMode(key) ?? portableCounterMode(key);
}

/**
 * Reuses one cipher context of the OpenSSL in this process: creating a `Decipheriv` takes ten times as long
 * as decrypting a small blob.
 */
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
