import type { Snapshot } from '../../model/snapshot.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { loadSnapshot } from '../format/snapshot-file.ts';
import { dataParts, dumpsName } from '../save/root-tree.ts';
import type { SnapshotEntry, WorkOptions } from '../types.ts';
import type { BlobReader } from './blob-reader.ts';
import { entryOfNode } from './entry-of-node.ts';
import { findNode } from './find-node.ts';

export interface DumpsWanted {
  readonly reader: BlobReader;
  readonly snapshot: Snapshot;
}

/** The dumps that lie beside a snapshot's data, sorted by name. */
export async function listDumps(
  codec: FileCodec,
  { reader, snapshot }: DumpsWanted,
  options: WorkOptions,
): Promise<SnapshotEntry[]> {
  if (snapshot.volume === undefined) return [];
  const parts = dataParts(snapshot.volume);
  const name = parts.at(-1);
  if (name === undefined) return [];
  const { tree } = await loadSnapshot(codec, snapshot.id, options);
  const folder = await findNode(reader, tree, [...parts.slice(0, -1), dumpsName(name)], options);
  if (folder?.subtree === undefined) return [];
  const nodes = await reader.readTree(folder.subtree, options);
  return nodes.flatMap((node) => {
    const entry = entryOfNode(node, node.name);
    return entry?.type === 'file' ? [entry] : [];
  });
}
