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
  /** Told each tree, and its slot in the index, whenever it is mentioned: true when it is to be read. */
  readonly onTree: (slot: number, id: string) => boolean;
  /** Told each blob of a file, and its slot, whenever it is mentioned. */
  readonly onBlob: (slot: number, id: string) => void;
  /** Told after each batch how many trees were read. */
  readonly onBatch?: ((trees: number) => void) | undefined;
}

/** Trees are read this many at once, those of one pack in few requests. */
const batchSize = 256;

/**
 * Reads the trees below the given ones, and tells every blob that they need. A caller that asks for what is used may delete
 * the rest, so anything that is missing or makes no sense throws `integrity` or `unsupported`.
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
