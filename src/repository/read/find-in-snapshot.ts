import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { TreeNode } from '../format/node.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { loadSnapshot } from '../format/snapshot-file.ts';
import { configName, dataParts } from '../save/root-tree.ts';
import type { BlobReader } from './blob-reader.ts';
import { findNode } from './find-node.ts';

/** What a path of a snapshot leads to. The root of a snapshot that another program made has no node of its own. */
export type Found = Pick<TreeNode, 'type' | 'subtree'> & Partial<TreeNode>;

export interface PlaceInSnapshot {
  readonly snapshot: Snapshot;
  /** Below the snapshot's data root. */
  readonly path: ByteString;
  /** Below the folder of what its containers need instead: an absolute path without the first slash. */
  readonly inConfig?: boolean | undefined;
}

/** `not-found` when there is no such path. */
export async function findInSnapshot(
  codec: FileCodec,
  reader: BlobReader,
  { snapshot, path, inConfig = false }: PlaceInSnapshot,
): Promise<Found> {
  const { tree } = await loadSnapshot(codec, snapshot.id);
  const data = snapshot.volume ? dataParts(snapshot.volume) : [];
  const root = inConfig ? [...data.slice(0, -1), configName(data.at(-1) ?? '')] : data;
  const parts = [...root, ...path.split('/').filter((part) => part !== '')];
  if (parts.length === 0) return { type: 'dir', subtree: tree };
  const node = await findNode(reader, tree, parts);
  if (!node)
    throw new AppError('not-found', `Snapshot "${snapshot.id.slice(0, 8)}" has no "${toPrintable(path)}"`);
  return node;
}
