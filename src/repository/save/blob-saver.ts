import { awaitedLater } from '../../lib/awaited-later.ts';
import { hash } from 'node:crypto';
import type { BlobTables } from '../blob-index/blob-tables.ts';
import type { IndexedPack } from '../blob-index/index-file.ts';
import type { Compressor } from '../crypto/compression.ts';
import type { Sealer } from '../crypto/seal.ts';
import type { BlobType } from '../pack/pack-header.ts';
import { type FinishedPack, PackWriter, storePack } from '../pack/pack-writer.ts';
import type { Store } from '../stores/store.ts';

export interface BlobSaverOptions {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly compressor: Compressor;
  readonly tables: BlobTables;
  /** Counts what would be stored, and stores nothing. */
  readonly dryRun: boolean;
  /**
   * How many packs are being stored while the thread fills the next. Each is held in memory, unless the store
   * takes it as it is filled.
   */
  readonly packsUnderWay: number;
  readonly onPack: (pack: IndexedPack) => void;
}

/** Hashes blobs, and stores those that are new to the repository in this thread's own packs. */
export class BlobSaver {
  readonly #options: BlobSaverOptions;
  readonly #writers: Readonly<Record<BlobType, PackWriter>>;
  readonly #id = Buffer.from(new ArrayBuffer(32));
  readonly #idWords: Int32Array;
  readonly #spares: FinishedPack[] = [];
  readonly #pending: Promise<void>[] = [];
  addedBytes = 0;
  storedBytes = 0;

  constructor(options: BlobSaverOptions) {
    this.#options = options;
    this.#idWords = new Int32Array(this.#id.buffer, this.#id.byteOffset, 8);
    const { sealer, compressor } = options;
    const tools = { sealer, compressor, store: options.dryRun ? nowhere : options.store };
    this.#writers = { data: new PackWriter('data', tools), tree: new PackWriter('tree', tools) };
  }

  /** Returns the blob's id in hex. Afterwards `isFull` may say that `storeFull` is due. */
  add(content: Buffer, type: BlobType): string {
    const id = hash('sha256', content, 'hex');
    this.#id.write(id, 'hex');
    if (this.#options.tables.claim(this.#idWords, type)) {
      this.addedBytes += content.length;
      this.storedBytes += this.#writers[type].add(id, content);
    }
    return id;
  }

  get isFull(): boolean {
    return this.#writers.data.isFull || this.#writers.tree.isFull;
  }

  /** Stores the full packs while the thread fills the next. Throws the error of the previous store. */
  async storeFull(): Promise<void> {
    for (const writer of [this.#writers.data, this.#writers.tree])
      if (writer.isFull) await this.#finish(writer);
  }

  /** Stores all remaining packs. On return every pack is durable and reported. */
  async flush(): Promise<void> {
    for (const writer of [this.#writers.data, this.#writers.tree])
      if (!writer.isEmpty) await this.#finish(writer);
    while (this.#pending.length > 0) await this.#pending.shift();
  }

  /** On return every full pack is durable and reported. */
  async drain(): Promise<void> {
    await this.storeFull();
    while (this.#pending.length > 0) await this.#pending.shift();
  }

  abandon(): void {
    for (const writer of [this.#writers.data, this.#writers.tree]) writer.abandon();
  }

  async #finish(writer: PackWriter): Promise<void> {
    while (this.#pending.length >= this.#options.packsUnderWay) await this.#pending.shift();
    const pack = writer.finish();
    const spare = this.#spares.pop();
    if (spare) writer.takeBack(spare);
    const stored = this.#store(pack);
    // Before the next store, and at the flush.
    awaitedLater(stored);
    this.#pending.push(stored);
  }

  async #store(pack: FinishedPack): Promise<void> {
    if (!this.#options.dryRun) {
      await storePack(this.#options.store, pack);
      this.#options.onPack({ id: pack.id, blobs: pack.blobs });
    }
    if (Buffer.isBuffer(pack.content)) this.#spares.push(pack);
  }
}

/** Accepts files and discards them. */
const nowhere = {
  begin: () => ({ write: () => undefined, finish: () => Promise.resolve(), abandon: () => undefined }),
};
