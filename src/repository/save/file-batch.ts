import type { ByteString } from '../../model/byte-string.ts';

const fullFiles = 64;
const fullBytes = 4 * 1024 * 1024;

/** Small files of one directory that go to a worker together. */
export class FileBatch {
  #names: ByteString[] = [];
  #slotNumbers: number[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#names.length === 0;
  }

  get isFull(): boolean {
    return this.#names.length >= fullFiles || this.#bytes >= fullBytes;
  }

  add(name: ByteString, sizeBytes: number, slotNumber: number): void {
    this.#names.push(name);
    this.#slotNumbers.push(slotNumber);
    this.#bytes += sizeBytes;
  }

  take(): { names: ByteString[]; slotNumbers: number[] } {
    const taken = { names: this.#names, slotNumbers: this.#slotNumbers };
    this.#names = [];
    this.#slotNumbers = [];
    this.#bytes = 0;
    return taken;
  }
}
