import { type Cipheriv, createCipheriv, randomFillSync, timingSafeEqual } from 'node:crypto';
import { AppError } from '../../model/errors.ts';
import { type Authenticator, openAuthenticator } from './authenticator.ts';
import { type CounterMode, openCounterMode } from './counter-mode.ts';

/** The three secrets of a repository: AES-256-CTR for secrecy, Poly1305-AES (k, r) for authenticity. */
export interface MasterKey {
  /** 32 bytes. */
  readonly encrypt: Uint8Array;
  /** 16 bytes: the AES-128 key that turns a nonce into Poly1305's s. */
  readonly macK: Uint8Array;
  /** 16 bytes: Poly1305's r. */
  readonly macR: Uint8Array;
}

/** What sealing is made of. */
export interface Primitives {
  readonly openCounter: (key: Buffer) => CounterMode;
  readonly openMac: () => Authenticator;
}

const fastest: Primitives = { openCounter: openCounterMode, openMac: openAuthenticator };

const ivLength = 16;
const macLength = 16;

/** Bytes that sealing adds. */
export const sealOverhead = ivLength + macLength;

/** Seals and opens messages with one key: IV || ciphertext || MAC, as restic's design document says. */
export class Sealer {
  readonly #key: Buffer;
  readonly #nonceCipher: Cipheriv;
  readonly #oneTimeKey = Buffer.alloc(32);
  readonly #mac = Buffer.alloc(macLength);
  readonly #ctr: CounterMode;
  readonly #poly1305: Authenticator;
  /** Random bytes that were never used: asking for many at once is ten times cheaper. */
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
