import { AppError } from '../../model/errors.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { isOutOfReach } from '../out-of-reach.ts';
import { type BlobPlace, type BlobType, packSize } from '../pack/pack-header.ts';
import type { StoredFile, StoreOptions } from '../stores/store.ts';
import { idWords } from './blob-print.ts';
import { createBlobTable } from './blob-table.ts';
import { BlobTables } from './blob-tables.ts';
import { type IndexedPack, loadIndexFile } from './index-file.ts';

/** A blob with the pack that holds it. */
export interface LocatedBlob {
  readonly packId: string;
  readonly offset: number;
  readonly length: number;
  readonly uncompressedLength: number;
}

/** A pack as the index files describe it. */
export interface PackRecord {
  readonly id: string;
  readonly sizeBytes: number;
  readonly blobCount: number;
}

/** Saving needs to know where trees lie, to read the last ones; of data, only that it is there. */
type PlacesOf = 'all' | 'trees';

/** All blobs that the index files of a repository name. */
export class BlobIndex {
  readonly tables: BlobTables;
  readonly #packs: PackRecord[] = [];
  readonly #packNumbers = new Map<string, number>();
  readonly #placesOf: PlacesOf;
  #blobs = 0;

  constructor(expectedBlobs: number, placesOf: PlacesOf = 'all') {
    this.#placesOf = placesOf;
    this.tables =
      placesOf === 'all'
        ? BlobTables.withPlaces(expectedBlobs)
        : BlobTables.of([
            createBlobTable(0, { hasPlaces: true }),
            createBlobTable(expectedBlobs, { hasPlaces: false }),
          ]);
  }

  get packs(): readonly PackRecord[] {
    return this.#packs;
  }

  get blobCount(): number {
    return this.#blobs;
  }

  addPack(pack: IndexedPack): void {
    if (this.#packNumbers.has(pack.id)) return;
    const packIndex = this.#packs.length;
    this.#packNumbers.set(pack.id, packIndex);
    this.#packs.push({ id: pack.id, sizeBytes: packSize(pack.blobs), blobCount: pack.blobs.length });
    for (const blob of pack.blobs) this.#addBlob(packIndex, blob);
    this.#blobs += pack.blobs.length;
  }

  /** Where a pack is in `packs`; undefined when no index file names it. */
  packNumber(id: string): number | undefined {
    return this.#packNumbers.get(id);
  }

  /** How many slots `slotOf` counts, once all packs are added. */
  get slotCount(): number {
    return this.tables.slotCount;
  }

  /** A number that is this blob's alone, for what is remembered of blobs in flat arrays; -1 when it is not known. */
  slotOf(id: string, type: BlobType): number {
    return this.tables.slotOf(idWords(id), type);
  }

  has(id: string, type: BlobType): boolean {
    return this.tables.has(idWords(id), type);
  }

  /** Undefined when it is not known, or its place is not. */
  find(id: string, type: BlobType): LocatedBlob | undefined {
    const place = this.tables.get(idWords(id), type);
    const pack = place && this.#packs[place.packIndex];
    if (!place || !pack) return undefined;
    return {
      packId: pack.id,
      offset: place.offset,
      length: place.length,
      uncompressedLength: place.uncompressedLength,
    };
  }

  #addBlob(packIndex: number, blob: BlobPlace): void {
    const { id, type, offset, length, uncompressedLength } = blob;
    if (this.#placesOf === 'trees' && type !== 'tree') this.tables.addWithoutPlace(idWords(id), type);
    else this.tables.add(idWords(id), type, { packIndex, offset, length, uncompressedLength });
    this.tables.grow();
  }
}

/** A stored index has about this many bytes for each blob: most of it is the id, which doesn't compress. */
export const storedBytesPerBlob = 40;

interface LoadIndexOptions extends StoreOptions {
  readonly onDamaged?: (name: string, error: AppError) => void;
  /** All unless given. */
  readonly placesOf?: PlacesOf;
  /** Leaves a pack out, so that a second copy of what it holds is found. All unless given. */
  readonly takes?: (pack: IndexedPack) => boolean;
}

/**
 * Reads all index files. A damaged one throws `integrity` unless `onDamaged` takes it; one that cannot be looked at now
 * (`unavailable`, `denied`) always throws, since what only it knows is not lost.
 */
export async function loadBlobIndex(codec: FileCodec, options: LoadIndexOptions = {}): Promise<BlobIndex> {
  return await readIndexFiles(codec, await codec.store.list('index', options), options);
}

/** The same of files that were listed already. */
async function readIndexFiles(
  codec: FileCodec,
  files: readonly StoredFile[],
  options: LoadIndexOptions & { readonly onGone?: () => void } = {},
): Promise<BlobIndex> {
  const storedBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const index = new BlobIndex(storedBytes / storedBytesPerBlob, options.placesOf);
  for (const { name } of files) {
    try {
      for (const pack of await loadIndexFile(codec, name, options))
        if (options.takes?.(pack) !== false) index.addPack(pack);
    } catch (error) {
      // Another process may replace index files while we read: the new ones are listed already or hold no news for us.
      if (error instanceof AppError && error.code === 'not-found') {
        options.onGone?.();
        continue;
      }
      if (!(error instanceof AppError) || isOutOfReach(error) || !options.onDamaged) throw error;
      options.onDamaged(name, error);
    }
  }
  return index;
}

/** The index for those who only read: it is read again when other index files are stored than before. */
export class KnownIndex {
  readonly #codec: FileCodec;
  #names = '';
  #index: BlobIndex | undefined;

  constructor(codec: FileCodec) {
    this.#codec = codec;
  }

  /**
   * As the store has it now. Goes without the index files that are damaged: a blob that only they know is told as missing.
   * One that is out of reach ends a restore, too: it would leave out, and call lost, what is there.
   */
  async current(options: StoreOptions): Promise<BlobIndex> {
    const files = await this.#codec.store.list('index', options);
    const names = files
      .map(({ name }) => name)
      .toSorted()
      .join();
    if (this.#index !== undefined && names === this.#names) return this.#index;
    let isWhole = true;
    const notWhole = (): void => void (isWhole = false);
    const index = await readIndexFiles(this.#codec, files, {
      ...options,
      onDamaged: notWhole,
      onGone: notWhole,
    });
    this.#index = index;
    // What is not whole is read again the next time.
    this.#names = isWhole ? names : 'not whole';
    return index;
  }

  /** As it was read last, if it ever was: for what a walk has just named. */
  async atHand(options: StoreOptions): Promise<BlobIndex> {
    return this.#index ?? (await this.current(options));
  }

  forget(): void {
    this.#index = undefined;
  }
}
