import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import type { Snapshot, VolumeDescription } from '../../model/snapshot.ts';
import type { TreeNode } from '../format/node.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { loadSnapshot } from '../format/snapshot-file.ts';
import { configName, dataParts, descriptionName } from '../save/root-tree.ts';
import type { StoreOptions } from '../stores/store.ts';
import type { BlobReader } from './blob-reader.ts';

/** The node at a path of a snapshot. The root of a snapshot by another program has no node of its own. */
export type Found = Pick<TreeNode, 'type' | 'subtree'> & Partial<TreeNode>;

interface PlaceInSnapshot {
  readonly snapshot: Snapshot;
  /** Below the snapshot's data root. */
  readonly path: ByteString;
  /** Relative to the folder of saved configuration instead: an absolute path without the leading slash. */
  readonly inConfig?: boolean | undefined;
}

/** `not-found` when the path does not exist. */
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

/** The node at a path below a tree, or undefined. The path has at least one part. */
export async function findNode(
  reader: BlobReader,
  tree: string,
  parts: readonly ByteString[],
  options?: StoreOptions,
): Promise<TreeNode | undefined> {
  let subtree: string | undefined = tree;
  let found: TreeNode | undefined;
  for (const part of parts) {
    if (subtree === undefined) return undefined;
    const nodes = await reader.readTree(subtree, options);
    found = nodes.find((node) => node.name === part);
    subtree = found?.subtree;
  }
  return found;
}

/**
 * The description beside a volume's data in a snapshot. Undefined when there is none, or it cannot be read.
 */
export async function readDescription(
  reader: BlobReader,
  tree: string,
  dataName: ByteString,
): Promise<VolumeDescription | undefined> {
  try {
    const node = await findNode(reader, tree, ['volume', descriptionName(dataName)]);
    const id = node?.content[0];
    if (id === undefined) return undefined;
    const parsed = JSON.parse((await reader.read(id, 'data')).toString('utf8')) as Partial<VolumeDescription>;
    return parsed.kind === 'volume' && typeof parsed.identity === 'string'
      ? (parsed as VolumeDescription)
      : undefined;
  } catch (error) {
    if (isAppError(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
