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
 * Where a volume's data is in the tree of its snapshots. A path keeps its place, a volume is at `/volume/NAME`. Of a single
 * file it is the folder that holds it.
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

/** Other drivers' volumes may have names that no file can have. */
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

/** The node of a directory, as it is where a symbolic link leads. */
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

/** A plain directory for places that exist in the snapshot only, always the same so that its tree is. */
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

/** The folder beside the data that holds what the application's own client dumped. */
export function dumpsName(dataName: ByteString): ByteString {
  return `${dataName}.dump`;
}

/** The folder beside the data that holds the small files which its containers need. */
export function configName(dataName: ByteString): ByteString {
  return `${dataName}.config`;
}

/** The file beside the data that describes the volume, for a snapshot whose record was rewritten by another program. */
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
