import { Breather } from '../../lib/breathe.ts';
import type { ByteString } from '../../model/byte-string.ts';
import type { TreeNode } from '../format/node.ts';
import type { StoreOptions } from '../stores/store.ts';
import type { BlobReader } from './blob-reader.ts';
import { EntryBound } from './entry-bound.ts';

interface WalkedNode {
  readonly node: TreeNode;
  /** Relative to the root of the walk. */
  readonly path: ByteString;
}

interface WalkOptions extends StoreOptions {
  readonly depth?: number | undefined;
}

/** A tree on the current path, and how far it is walked. */
interface Frame {
  readonly nodes: readonly TreeNode[];
  readonly path: ByteString;
  next: number;
}

/**
 * Every node below a tree, depth first, a directory before its entries. `depth` 1 is the tree itself only.
 * Uses an explicit stack: nested generators would slow down with depth and overflow the call stack.
 */
export async function* walkTreeNodes(
  reader: BlobReader,
  tree: string,
  { depth = Number.POSITIVE_INFINITY, signal }: WalkOptions = {},
): AsyncGenerator<WalkedNode> {
  if (depth < 1) return;
  const breather = new Breather('reading a snapshot', signal);
  const bound = new EntryBound(reader, tree);
  const frames: Frame[] = [{ nodes: await reader.readTree(tree, { signal }), path: '', next: 0 }];
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    const node = frame.nodes[frame.next++];
    if (node === undefined) {
      frames.pop();
      continue;
    }
    // Trees often come from memory, so that other work would never get a turn.
    breather.check();
    if (breather.isDue()) await breather.breathe();
    const path = frame.path === '' ? node.name : `${frame.path}/${node.name}`;
    yield { node, path };
    if (node.subtree === undefined || frames.length >= depth) continue;
    await bound.visit(node.subtree);
    frames.push({ nodes: await reader.readTree(node.subtree, { signal }), path, next: 0 });
  }
}

/** Remembers the first path of each file that has several links. */
export class HardLinks {
  readonly #first = new Map<string, ByteString>();

  /** The path of an earlier node of the same file; undefined for the first and for files with one link. */
  linkTo(node: TreeNode, path: ByteString): ByteString | undefined {
    if (node.links < 2 || node.type === 'dir' || node.inode === 0n) return undefined;
    // Includes the content, so that equal numbers by chance never merge two files.
    const key = `${node.deviceId}:${node.inode}:${node.type}:${node.size}:${node.content[0] ?? ''}:${node.content.at(-1) ?? ''}`;
    const first = this.#first.get(key);
    if (first === undefined) this.#first.set(key, path);
    return first;
  }
}
