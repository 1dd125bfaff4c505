import { openOwnFile } from '../../lib/open-trusted.ts';
import type { OpenDirectories } from '../../lib/open-directories.ts';
import { closeQuickly } from '../../lib/posix-at.ts';
import { startWriteback } from '../../lib/posix.ts';
import type { ByteString } from '../../model/byte-string.ts';
import { placeOf } from './restore-target.ts';

/** So much is worth asking the kernel to begin to write it down. */
const worthWriting = 4 * 1024 * 1024;

/** A file that is there already, kept open from one blob to the next: most blobs of a pack belong to one file. */
export class FileInHand implements Disposable {
  readonly #places: OpenDirectories;
  #path: ByteString | undefined;
  #fd = -1;
  #start = 0;
  #end = 0;

  constructor(places: OpenDirectories) {
    this.#places = places;
  }

  /** Opens it for a write to these bytes. */
  open(path: ByteString, start: number, length: number): number {
    if (path !== this.#path) {
      this.release();
      const { folder, name } = placeOf(this.#places, path);
      this.#fd = openOwnFile(folder, name);
      this.#path = path;
      this.#start = start;
      this.#end = start;
    }
    this.#start = Math.min(this.#start, start);
    this.#end = Math.max(this.#end, start + length);
    return this.#fd;
  }

  /** The disk begins with its work now, and not when everything has to be durable. */
  release(): void {
    if (this.#path === undefined) return;
    const length = this.#end - this.#start;
    if (length >= worthWriting) startWriteback(this.#fd, { offset: this.#start, length });
    closeQuickly(this.#fd);
    this.#path = undefined;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
