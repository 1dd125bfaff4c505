import type { ByteString } from '../../model/byte-string.ts';
import type { TreeNode } from '../format/node.ts';

/** Remembers the first path of each file that has several links. */
export class HardLinks {
  readonly #first = new Map<string, ByteString>();

  /** The path of an earlier node that is the same file; undefined for the first and for files with one link. */
  linkTo(node: TreeNode, path: ByteString): ByteString | undefined {
    if (node.links < 2 || node.type === 'dir' || node.inode === 0n) return undefined;
    // With the content, so that numbers that are equal by chance never make one file of two.
    const key = `${node.deviceId}:${node.inode}:${node.type}:${node.size}:${node.content[0] ?? ''}:${node.content.at(-1) ?? ''}`;
    const first = this.#first.get(key);
    if (first === undefined) this.#first.set(key, path);
    return first;
  }
}
