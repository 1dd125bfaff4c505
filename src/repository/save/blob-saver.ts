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
  /** How many packs are being made durable while the thread fills the next. Each is held in memory, unless the store takes it as it is made. */
  readonly packsUnderWay: number;
  /** Called when a pack is durable. */
  readonly onPack: (pack: IndexedPack) => void;
}

/** Hashes blobs, and stores those that the repository has not, in packs of this thread's own. */
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

  /** The blob's id in hex. After it, `isFull` may say that `storeFull` is due. */
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

  /** Stores the packs that are full, while the thread fills the next. Throws what went wrong with the one before. */
  async storeFull(): Promise<void> {
    for (const writer of [this.#writers.data, this.#writers.tree])
      if (writer.isFull) await this.#finish(writer);
  }

  /** Stores all that is left. When it returns, every pack is durable and told. */
  async flush(): Promise<void> {
    for (const writer of [this.#writers.data, this.#writers.tree])
      if (!writer.isEmpty) await this.#finish(writer);
    while (this.#pending.length > 0) await this.#pending.shift();
  }

  /** When it returns, what was full is durable and told. */
  async drain(): Promise<void> {
    await this.storeFull();
    while (this.#pending.length > 0) await this.#pending.shift();
  }

  /** Leaves nothing of packs that are not finished. */
  abandon(): void {
    for (const writer of [this.#writers.data, this.#writers.tree]) writer.abandon();
  }

  async #finish(writer: PackWriter): Promise<void> {
    while (this.#pending.length >= this.#options.packsUnderWay) await this.#pending.shift();
    const pack = writer.finish();
    const spare = this.#spares.pop();
    if (spare) writer.takeBack(spare);
    const stored = this.#store(pack);
    // It is awaited before a later one and at the flush; until then its failure is no unhandled one.
    stored.catch(() => undefined);
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

/** Takes files, and keeps nothing of them. */
const nowhere = {
  begin: () => ({ write: () => undefined, finish: () => Promise.resolve(), abandon: () => undefined }),
};
