import { type Cipheriv, createCipheriv, createDecipheriv, type Decipheriv, randomBytes } from 'node:crypto';
import { closeSync, readSync, writeSync } from 'node:fs';
import { type ByteString, fromBytes, toBytes } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { comparePaths } from '../../lib/compare-paths.ts';
import { knownError } from '../../lib/known-error.ts';
import { openNameless } from '../../lib/nameless-file.ts';

export interface LedgerLine {
  readonly path: ByteString;
  readonly isDirectory: boolean;
  /** A further name of a file listed earlier. */
  readonly isLink: boolean;
  readonly inode: bigint;
  /** Empty for an entry that may have changed since without a trace. */
  readonly signature: string;
}

const bufferBytes = 64 << 10;
const headBytes = 15;
/** Fixed, because each ledger has a key of its own. */
const firstBlock = Buffer.alloc(16);

/**
 * The entries seen in a walk, in its order, in an unnamed file, so that any number takes no memory. Written
 * once from beginning to end, and read so. Encrypted under a key in memory, because the names may be those of
 * an encrypted volume.
 */
export class TreeLedger implements Disposable {
  readonly #fd: number;
  readonly #key = randomBytes(32);
  readonly #cipher: Cipheriv = createCipheriv('aes-256-ctr', this.#key, firstBlock);
  #sizeBytes = 0;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(folder: string) {
    try {
      this.#fd = openNameless(folder);
    } catch (error) {
      throw knownError(error, 'Cannot note what has been copied');
    }
  }

  add({ path, isDirectory, isLink, inode, signature }: LedgerLine): void {
    const name = toBytes(path);
    const line = Buffer.alloc(headBytes + name.length + signature.length);
    line.writeUInt32LE(name.length, 0);
    line.writeUInt16LE(signature.length, 4);
    line.writeUInt8((isDirectory ? 1 : 0) | (isLink ? 2 : 0), 6);
    line.writeBigUInt64LE(inode, 7);
    name.copy(line, headBytes);
    line.write(signature, headBytes + name.length, 'latin1');
    this.#pending.push(line);
    this.#pendingBytes += line.length;
    if (this.#pendingBytes >= bufferBytes) this.#flush();
  }

  read(): LedgerReader {
    this.#flush();
    return new LedgerReader(this.#fd, { sizeBytes: this.#sizeBytes, key: this.#key });
  }

  #flush(): void {
    const bytes = this.#cipher.update(Buffer.concat(this.#pending));
    this.#pending = [];
    this.#pendingBytes = 0;
    try {
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.#fd, bytes, done, bytes.length - done, this.#sizeBytes + done);
    } catch (error) {
      throw knownError(error, 'Cannot note what has been copied');
    }
    this.#sizeBytes += bytes.length;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** Reads a ledger alongside a walk of the same order. */
export class LedgerReader {
  readonly #fd: number;
  readonly #sizeBytes: number;
  readonly #decipher: Decipheriv;
  #at = 0;
  #buffer: Buffer = Buffer.alloc(0);
  #next: LedgerLine | undefined;

  constructor(fd: number, { sizeBytes, key }: { readonly sizeBytes: number; readonly key: Uint8Array }) {
    this.#fd = fd;
    this.#sizeBytes = sizeBytes;
    this.#decipher = createDecipheriv('aes-256-ctr', key, firstBlock);
    this.#next = this.#readLine();
  }

  /** The next line that sorts before a path, or before the end; undefined when there is none. */
  takeBefore(path: ByteString | undefined): LedgerLine | undefined {
    const line = this.#next;
    if (line === undefined || (path !== undefined && comparePaths(line.path, path) >= 0)) return undefined;
    return this.#take(line);
  }

  /** The line of a path, when it is the next one. */
  takeAt(path: ByteString): LedgerLine | undefined {
    const line = this.#next;
    return line === undefined || line.path !== path ? undefined : this.#take(line);
  }

  /** The next line, if it is below a directory whose line was taken. */
  takeBelow(directory: ByteString): LedgerLine | undefined {
    const line = this.#next;
    return line?.path.startsWith(`${directory}/`) === true ? this.#take(line) : undefined;
  }

  #take(line: LedgerLine): LedgerLine {
    this.#next = this.#readLine();
    return line;
  }

  #readLine(): LedgerLine | undefined {
    if (this.#buffer.length === 0 && this.#at === this.#sizeBytes) return undefined;
    this.#fill(headBytes);
    const pathBytes = this.#buffer.readUInt32LE(0);
    const end = headBytes + pathBytes + this.#buffer.readUInt16LE(4);
    const flags = this.#buffer.readUInt8(6);
    const inode = this.#buffer.readBigUInt64LE(7);
    this.#fill(end);
    const path = fromBytes(this.#buffer.subarray(headBytes, headBytes + pathBytes));
    const signature = this.#buffer.toString('latin1', headBytes + pathBytes, end);
    this.#buffer = this.#buffer.subarray(end);
    return { path, isDirectory: (flags & 1) !== 0, isLink: (flags & 2) !== 0, inode, signature };
  }

  #fill(length: number): void {
    if (this.#buffer.length >= length) return;
    const more = Buffer.allocUnsafeSlow(Math.max(bufferBytes, length - this.#buffer.length));
    const wanted = Math.min(more.length, this.#sizeBytes - this.#at);
    const read = readSync(this.#fd, more, 0, wanted, this.#at);
    this.#at += read;
    this.#buffer = Buffer.concat([this.#buffer, this.#decipher.update(more.subarray(0, read))]);
    if (this.#buffer.length < length)
      throw new AppError('integrity', 'What was noted of the copy cannot be read back');
  }
}
