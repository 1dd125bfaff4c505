import type { ByteString } from '../../model/byte-string.ts';
import { dumpsName } from '../save/root-tree.ts';
import type { SnapshotEntry, WorkOptions } from '../types.ts';
import type { BlobReader } from './blob-reader.ts';
import { entryOfNode } from './entry-of-node.ts';
import { findNode } from './find-node.ts';

export interface DumpPlace {
  /** The snapshot's root tree. */
  readonly tree: string;
  /** Where the data is in it. */
  readonly dataParts: readonly ByteString[];
}

/** The dumps that lie beside a snapshot's data, sorted by name. */
export async function listDumps(
  reader: BlobReader,
  { tree, dataParts }: DumpPlace,
  options: WorkOptions,
): Promise<SnapshotEntry[]> {
  const name = dataParts.at(-1);
  if (name === undefined) return [];
  const folder = await findNode(reader, tree, [...dataParts.slice(0, -1), dumpsName(name)], options);
  if (folder?.subtree === undefined) return [];
  const nodes = await reader.readTree(folder.subtree, options);
  return nodes.flatMap((node) => {
    const entry = entryOfNode(node, node.name);
    return entry?.type === 'file' ? [entry] : [];
  });
}
