import type { Snapshot } from '../../model/snapshot.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { sealOverhead } from '../crypto/seal.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { loadSnapshot } from '../format/snapshot-file.ts';
import type { BlobType } from '../pack/pack-header.ts';
import { crawlTrees } from '../prune/crawl-trees.ts';
import { BlobReader } from '../read/blob-reader.ts';
import type { GroupStats, RepositoryStats } from '../requests.ts';
import type { StoreOptions } from '../stores/store.ts';
import type { StatsOptions } from '../types.ts';

/**
 * Adds up what groups of snapshots need. Takes a few bytes of memory for each blob, however many snapshots
 * there are.
 */
export async function measureGroups(
  parts: { readonly codec: FileCodec; readonly index: BlobIndex },
  options: StatsOptions,
): Promise<RepositoryStats> {
  const { store } = parts.codec;
  const { signal } = options;
  const usage = new GroupUsage(parts, options);
  const sizes: GroupSizes[] = [];
  for (const snapshots of options.groups) sizes.push(await usage.add(snapshots));
  const packs = await store.list('data', { signal });
  const indexes = await store.list('index', { signal });
  return {
    packs: packs.length,
    packBytes: sum(packs, ({ sizeBytes }) => sizeBytes),
    indexBytes: sum(indexes, ({ sizeBytes }) => sizeBytes),
    total: {
      snapshots: sum(sizes, ({ snapshots }) => snapshots),
      restorableBytes: sum(sizes, ({ restorableBytes }) => restorableBytes),
      blobs: usage.total.blobs,
      uncompressedBytes: usage.total.uncompressedBytes,
      storedBytes: usage.total.storedBytes,
    },
    groups: sizes.map((size, i): GroupStats => ({ ...size, ...(usage.groups[i] ?? emptyUsage()) })),
  };
}

type GroupSizes = Pick<GroupStats, 'snapshots' | 'newestBytes' | 'restorableBytes'>;

interface Usage {
  blobs: number;
  uncompressedBytes: number;
  storedBytes: number;
  ownBytes: number;
}

function emptyUsage(): Usage {
  return { blobs: 0, uncompressedBytes: 0, storedBytes: 0, ownBytes: 0 };
}

/** Counts blobs for one group after another. */
class GroupUsage {
  readonly groups: Usage[] = [];
  readonly total = emptyUsage();
  readonly #codec: FileCodec;
  readonly #index: BlobIndex;
  readonly #options: StatsOptions;
  readonly #sizes: RestorableSizes;
  /** By slot: the number, from 1, of the last group that counted the blob; 0 for none. */
  readonly #last: Uint32Array;
  /** By slot: 1 when several groups need the blob. */
  readonly #isShared: Uint8Array;
  #treesRead = 0;

  constructor(
    { codec, index }: { readonly codec: FileCodec; readonly index: BlobIndex },
    options: StatsOptions,
  ) {
    this.#codec = codec;
    this.#index = index;
    this.#options = options;
    this.#sizes = new RestorableSizes(codec, index);
    this.#last = new Uint32Array(index.slotCount);
    this.#isShared = new Uint8Array(index.slotCount);
  }

  async add(snapshots: readonly Snapshot[]): Promise<GroupSizes> {
    const { signal } = this.#options;
    const roots: string[] = [];
    let restorableBytes = 0;
    let newestBytes = 0;
    for (const { id, summary } of snapshots) {
      const { tree } = await loadSnapshot(this.#codec, id, { signal });
      roots.push(tree);
      // Records of old programs lack it.
      newestBytes = summary?.bytes ?? (await this.#sizes.sizeOf(tree, { signal }));
      restorableBytes += newestBytes;
    }
    const number = this.groups.push(emptyUsage());
    await crawlTrees(roots, {
      codec: this.#codec,
      index: this.#index,
      signal,
      onTree: (slot, id) => this.#count(slot, { id, type: 'tree', number }),
      onBlob: (slot, id) => this.#count(slot, { id, type: 'data', number }),
      onBatch: (trees) => this.#tell(trees),
    });
    return { snapshots: snapshots.length, newestBytes, restorableBytes };
  }

  /** True the first time that this group names the blob. */
  #count(
    slot: number,
    blob: { readonly id: string; readonly type: BlobType; readonly number: number },
  ): boolean {
    const last = this.#last[slot] ?? 0;
    if (last === blob.number) return false;
    this.#last[slot] = blob.number;
    const place = this.#index.find(blob.id, blob.type);
    if (!place) return true;
    const { length, uncompressedLength } = place;
    const sizes = { stored: length, plain: uncompressedLength || length - sealOverhead };
    const group = this.groups[blob.number - 1] ?? emptyUsage();
    addBlob(group, sizes);
    if (last === 0) {
      addBlob(this.total, sizes);
      group.ownBytes += length;
    } else if (this.#isShared[slot] === 0) {
      this.#isShared[slot] = 1;
      const first = this.groups[last - 1];
      if (first) first.ownBytes -= length;
    }
    return true;
  }

  #tell(trees: number): void {
    this.#treesRead += trees;
    this.#options.onProgress?.({
      phase: 'reading trees',
      filesDone: this.#treesRead,
      filesTotal: undefined,
      bytesDone: 0,
      bytesTotal: undefined,
      current: undefined,
    });
  }
}

function addBlob(usage: Usage, { stored, plain }: { readonly stored: number; readonly plain: number }): void {
  usage.blobs++;
  usage.storedBytes += stored;
  usage.uncompressedBytes += plain;
}

function sum<T>(things: readonly T[], valueOf: (thing: T) => number): number {
  return things.reduce((total, thing) => total + valueOf(thing), 0);
}

const unknownSize = -1;

/** The size of the files below trees; what snapshots share is read once. */
class RestorableSizes {
  readonly #reader: BlobReader;
  readonly #index: BlobIndex;
  /** By the tree's slot in the index. */
  #sizes: Float64Array | undefined;

  constructor(codec: FileCodec, index: BlobIndex) {
    this.#reader = new BlobReader(codec, index);
    this.#index = index;
  }

  async sizeOf(tree: string, options: StoreOptions): Promise<number> {
    this.#sizes ??= new Float64Array(this.#index.slotCount).fill(unknownSize);
    const slot = this.#index.slotOf(tree, 'tree');
    const known = this.#sizes[slot] ?? unknownSize;
    if (known !== unknownSize) return known;
    let bytes = 0;
    for (const { type, size, subtree } of await this.#reader.readTree(tree, options)) {
      if (type === 'file') bytes += size;
      if (subtree !== undefined) bytes += await this.sizeOf(subtree, options);
    }
    this.#sizes[slot] = bytes;
    return bytes;
  }
}
