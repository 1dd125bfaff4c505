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

/** Saving needs the places of trees, to read the previous ones; of data blobs, only that they exist. */
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

  /** The position of a pack in `packs`; undefined when no index file names it. */
  packNumber(id: string): number | undefined {
    return this.#packNumbers.get(id);
  }

  /** The number of slots, once all packs are added. */
  get slotCount(): number {
    return this.tables.slotCount;
  }

  /** A number unique to this blob, for flat arrays of facts about blobs; -1 when the blob is unknown. */
  slotOf(id: string, type: BlobType): number {
    return this.tables.slotOf(idWords(id), type);
  }

  has(id: string, type: BlobType): boolean {
    return this.tables.has(idWords(id), type);
  }

  /** Undefined when the blob or its place is unknown. */
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

/** A stored index has about this many bytes for each blob: mostly the id, which does not compress. */
export const storedBytesPerBlob = 40;

interface LoadIndexOptions extends StoreOptions {
  readonly onDamaged?: (name: string, error: AppError) => void;
  /** All by default. */
  readonly placesOf?: PlacesOf;
  /** False leaves a pack out, so that another copy of its content is found. Takes all packs by default. */
  readonly takes?: (pack: IndexedPack) => boolean;
}

/**
 * Reads all index files. A damaged one throws `integrity` unless `onDamaged` handles it; one that cannot be
 * read now (`unavailable`, `denied`) always throws, since its content is not lost.
 */
export async function loadBlobIndex(codec: FileCodec, options: LoadIndexOptions = {}): Promise<BlobIndex> {
  return await readIndexFiles(codec, await codec.store.list('index', options), options);
}

/** The same for files that are already listed. */
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
      // Another process may replace index files while we read: the new ones are listed already, or hold
      // nothing that we need.
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

/** The index for readers: it is read again when the stored index files have changed. */
export class KnownIndex {
  readonly #codec: FileCodec;
  #names = '';
  #index: BlobIndex | undefined;

  constructor(codec: FileCodec) {
    this.#codec = codec;
  }

  /**
   * The current index. Damaged index files are skipped, so that a blob which only they know counts as
   * missing. An index file that is out of reach throws even in a restore, which would otherwise report
   * existing data as lost.
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
    // An incomplete index is read again the next time.
    this.#names = isWhole ? names : 'not whole';
    return index;
  }

  /** The index as last read, if ever: enough for blobs that a walk has just named. */
  async atHand(options: StoreOptions): Promise<BlobIndex> {
    return this.#index ?? (await this.current(options));
  }

  forget(): void {
    this.#index = undefined;
  }
}
