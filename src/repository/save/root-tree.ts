import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { knownError } from '../../lib/known-error.ts';
import { listXattrs } from '../../lib/posix.ts';
import type { UserNames } from '../../lib/user-names.ts';
import { type ByteString, fromText, toPrintable } from '../../model/byte-string.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import type { VolumeDescription } from '../../model/snapshot.ts';
import { encodeTree } from '../format/encode-tree.ts';
import { encodeNode, type TreeNode } from '../format/node.ts';
import { nodeOfStat } from './node-of-stat.ts';

export interface RootTreeOptions {
  /** Parts of the path from the snapshot's root to the data: `volume`, `pg`. */
  readonly parts: readonly ByteString[];
  /** The node of the data's root without name and subtree. */
  readonly dataNode: TreeNode;
  readonly saveTree: (text: Uint8Array) => Promise<string>;
  /** The node of a directory above the data, for a path that exists on this machine. */
  readonly nodeAbove: (parts: readonly ByteString[]) => TreeNode;
  /** What lies beside the data's root. */
  readonly beside: readonly TreeNode[];
}

/**
 * The place of a volume's data in the tree of its snapshots. A path keeps its place, a volume is at
 * `/volume/NAME`. For a single file it is the containing folder.
 */
export function dataParts(volume: VolumeDescription): ByteString[] {
  if (volume.kind === 'path') {
    const parts = fromText(volume.name)
      .split('/')
      .filter((part) => part !== '');
    return volume.isFile === true ? parts.slice(0, -1) : parts;
  }
  return ['volume', safeName(fromText(volume.name))];
}

/** Other drivers' volumes may have names that are no valid file names. */
function safeName(name: ByteString): ByteString {
  const escaped = name.replace(
    /[/%\0]/g,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return escaped === '.' || escaped === '..' ? escaped.replace('.', '%2e') : escaped;
}

/** Saves the trees above the data and returns the id of the snapshot's root tree. */
export async function saveRootTree(options: RootTreeOptions, dataTree: string): Promise<string> {
  let subtree = dataTree;
  for (let depth = options.parts.length; depth > 0; depth--) {
    const isData = depth === options.parts.length;
    const name = options.parts[depth - 1] ?? '';
    const base = isData ? options.dataNode : options.nodeAbove(options.parts.slice(0, depth));
    const nodes: TreeNode[] = [{ ...base, name, subtree }];
    if (isData) nodes.push(...options.beside);
    nodes.sort((a, b) => (a.name < b.name ? -1 : 1));
    subtree = await options.saveTree(encodeTree(nodes.map((node) => encodeNode(node))));
  }
  return subtree;
}

/** The node of a directory, after following symbolic links. */
export function directoryNode(path: ByteString, names: UserNames): TreeNode {
  try {
    using handle = DirectoryHandle.open(path);
    return nodeOfStat({ name: '', stat: handle.stat(), names, xattrs: listXattrs(handle.at('.')) });
  } catch (error) {
    const code = errnoOf(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR')
      throw knownError(error, `Cannot read "${toPrintable(path)}"`);
    const reason = code === 'ENOENT' ? 'it does not exist' : 'it is not a directory';
    const meaning = code === 'ENOENT' ? 'not-found' : 'usage';
    throw new AppError(meaning, `Cannot read "${toPrintable(path)}": ${reason}`, { cause: error });
  }
}

/** A directory that exists only in the snapshot, always the same so that its tree is too. */
export const plainDirectoryNode: TreeNode = {
  name: '',
  type: 'dir',
  mode: 0o755,
  mtimeNs: 0n,
  atimeNs: 0n,
  ctimeNs: 0n,
  uid: 0,
  gid: 0,
  user: '',
  group: '',
  inode: 0n,
  deviceId: 0n,
  size: 0,
  links: 0,
  linkTarget: undefined,
  xattrs: [],
  dataRuns: undefined,
  device: 0n,
  content: [],
  subtree: undefined,
};

export function descriptionName(dataName: ByteString): ByteString {
  return `${dataName}.holdfast.json`;
}

/** The folder beside the data with the dumps of the application's own client. */
export function dumpsName(dataName: ByteString): ByteString {
  return `${dataName}.dump`;
}

/** The folder beside the data with the small files that its containers need. */
export function configName(dataName: ByteString): ByteString {
  return `${dataName}.config`;
}

/** The file beside the data that describes the volume, for snapshots whose record another program rewrote. */
export function descriptionNode(
  dataName: ByteString,
  content: { readonly id: string; readonly size: number },
): TreeNode {
  const { id, size } = content;
  return {
    ...plainDirectoryNode,
    type: 'file',
    name: descriptionName(dataName),
    mode: 0o600,
    size,
    links: 1,
    content: [id],
  };
}
