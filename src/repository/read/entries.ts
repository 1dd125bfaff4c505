import { unpackDevice } from '../../lib/posix.ts';
import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import type { EntryType } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { TreeNode } from '../format/node.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { loadSnapshot } from '../format/snapshot-file.ts';
import { dataParts, dumpsName } from '../save/root-tree.ts';
import type { SnapshotEntry, WorkOptions } from '../types.ts';
import type { BlobReader } from './blob-reader.ts';
import { findNode, type Found } from './find-in-snapshot.ts';
import { HardLinks, walkTreeNodes } from './walk-tree.ts';

/** A node as an entry at `path`. Undefined for a node that no file system can hold. */
export function entryOfNode(
  node: TreeNode,
  path: ByteString,
  hardLinkTo?: ByteString,
): SnapshotEntry | undefined {
  if (node.type === 'irregular') return undefined;
  const type: EntryType = node.type;
  return {
    path,
    type,
    mode: node.mode,
    uid: node.uid,
    gid: node.gid,
    mtimeNs: node.mtimeNs,
    size: type === 'file' ? node.size : 0,
    contentKey: type === 'dir' ? (node.subtree ?? '') : node.content.join(''),
    ctimeNs: node.ctimeNs,
    inode: node.inode,
    ...(node.linkTarget !== undefined && { linkTarget: node.linkTarget }),
    ...(hardLinkTo !== undefined && { hardLinkTo }),
    ...(node.xattrs.length > 0 && { xattrs: node.xattrs }),
    ...(node.dataRuns !== undefined && { dataRuns: node.dataRuns }),
    ...((type === 'chardev' || type === 'blockdev') && deviceParts(node.device)),
  };
}

function deviceParts(device: bigint): { deviceMajor: number; deviceMinor: number } {
  const { major, minor } = unpackDevice(device);
  return { deviceMajor: major, deviceMinor: minor };
}

/**
 * An entry of a snapshot and everything below it: depth first, sorted by bytes. Paths are relative to that
 * entry.
 */
export async function* walkEntries(
  reader: BlobReader,
  found: Found,
  { signal, depth }: WorkOptions & { readonly depth?: number },
): AsyncGenerator<SnapshotEntry> {
  const first = entryOfFound(found);
  if (first) yield first;
  if (found.subtree === undefined) return;
  const links = new HardLinks();
  for await (const { node, path } of walkTreeNodes(reader, found.subtree, { signal, depth })) {
    const entry = entryOfNode(node, path, links.linkTo(node, path));
    if (entry) yield entry;
  }
}

function entryOfFound(node: Found): SnapshotEntry | undefined {
  if (node.name !== undefined) return entryOfNode(node as TreeNode, '');
  const { subtree = '' } = node;
  return {
    path: '',
    type: 'dir',
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    size: 0,
    contentKey: subtree,
    ctimeNs: 0n,
    inode: 0n,
  };
}

interface DumpsWanted {
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

interface EntryOfSnapshot {
  readonly snapshot: Snapshot;
  readonly entry: SnapshotEntry;
}

/** The bytes of a file, verified; holes as zeros. */
export async function* readEntry(
  reader: BlobReader,
  { snapshot, entry }: EntryOfSnapshot,
  options: WorkOptions,
): AsyncGenerator<Uint8Array> {
  if (entry.type !== 'file')
    throw new AppError(
      'usage',
      `"${toPrintable(entry.path)}" in snapshot "${snapshot.id.slice(0, 8)}" is no file`,
    );
  // The key is the ids of its blobs, 64 hex digits each.
  for (let at = 0; at < entry.contentKey.length; at += 64)
    yield await reader.read(entry.contentKey.slice(at, at + 64), 'data', options);
}
