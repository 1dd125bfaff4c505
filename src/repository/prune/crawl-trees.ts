import { Room } from '../lib/room.ts';
import { toPrintable } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { decodeTree, type TreeNode } from '../format/node.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { BlobReader } from '../read/blob-reader.ts';
import { readBlobs, type WantedBlob } from '../read/read-blobs.ts';

export interface CrawlOptions {
  readonly codec: FileCodec;
  readonly index: BlobIndex;
  readonly signal?: AbortSignal | undefined;
  /** Called with each reference to a tree, and its slot in the index: true when it must be read. */
  readonly onTree: (slot: number, id: string) => boolean;
  /** Called with each reference to a file's blob, and its slot. */
  readonly onBlob: (slot: number, id: string) => void;
  /** Called after each batch with the number of trees read. */
  readonly onBatch?: ((trees: number) => void) | undefined;
}

/** Trees read at once; those of one pack need few requests. */
const batchSize = 256;

/**
 * Reads the trees below the given ones, and reports every blob that they need. The caller may delete
 * everything else, so anything missing or invalid throws `integrity` or `unsupported`.
 */
export async function crawlTrees(roots: readonly string[], options: CrawlOptions): Promise<void> {
  const stack = roots.filter((id) => options.onTree(slotOf(id, 'tree', options), id));
  const rooms = { sealedRooms: [new Room(), new Room()] as const, contentRoom: new Room() };
  const tools = { ...options.codec, ...rooms };
  while (stack.length > 0) {
    const batch = stack.splice(-batchSize);
    for (const [packId, blobs] of byPack(batch, options)) {
      if (options.signal?.aborted) throw new AppError('cancelled', 'The work was stopped');
      for await (const { content } of readBlobs(tools, packId, blobs, { signal: options.signal }))
        for (const node of decodeTree(content)) tellNode(node, stack, options);
    }
    options.onBatch?.(batch.length);
  }
}

function tellNode(node: TreeNode, stack: string[], options: CrawlOptions): void {
  if (node.type === 'dir' && node.subtree === undefined)
    throw new AppError('integrity', `A directory has no tree: "${toPrintable(node.name)}"`, checkHint);
  for (const id of node.content) options.onBlob(slotOf(id, 'data', options), id);
  const { subtree } = node;
  if (subtree !== undefined && options.onTree(slotOf(subtree, 'tree', options), subtree)) stack.push(subtree);
}

function slotOf(id: string, type: 'data' | 'tree', { index, codec }: CrawlOptions): number {
  const slot = index.slotOf(id, type);
  if (slot >= 0) return slot;
  throw new AppError(
    'integrity',
    `The ${type} blob "${id.slice(0, 8)}" is missing in repository "${codec.store.location}"`,
    checkHint,
  );
}

const checkHint = { hint: 'Run "holdfast check" to learn what is damaged.' };

function byPack(ids: readonly string[], { codec, index }: CrawlOptions): Map<string, WantedBlob[]> {
  const reader = new BlobReader(codec, index);
  const wanted = new Map<string, WantedBlob[]>();
  for (const id of ids) {
    const place = reader.locate(id, 'tree');
    const blobs = wanted.get(place.packId);
    if (blobs) blobs.push({ id, ...place });
    else wanted.set(place.packId, [{ id, ...place }]);
  }
  return wanted;
}
