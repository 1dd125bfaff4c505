import type { UserNames } from '../../lib/user-names.ts';
import type { ByteString } from '../../model/byte-string.ts';
import { encodeTree } from '../format/encode-tree.ts';
import { encodeNode, type TreeNode } from '../format/node.ts';
import { nameOfEntry, nodeOfEntry } from './node-of-entry.ts';
import { configName, plainDirectoryNode } from './root-tree.ts';
import type { ConfigFile } from './save-types.ts';

interface ConfigFolder {
  /** By absolute path without the leading slash, with all their parent folders. */
  readonly files: readonly ConfigFile[];
  readonly dataName: ByteString;
  readonly names: UserNames;
  readonly saveBlob: (content: Uint8Array) => Promise<string>;
  readonly saveTree: (text: Uint8Array) => Promise<string>;
}

/** Saves the folder beside the data's root with the small files that the volume's containers need. */
export async function saveConfigFolder({ dataName, ...work }: ConfigFolder): Promise<TreeNode> {
  const subtree = await saveBelow('', work);
  return { ...plainDirectoryNode, name: configName(dataName), mode: 0o700, subtree };
}

async function saveBelow(folder: ByteString, work: Omit<ConfigFolder, 'dataName'>): Promise<string> {
  const nodes: TreeNode[] = [];
  for (const { entry, content } of work.files) {
    if (folderOf(entry.path) !== folder) continue;
    const node = nodeOfEntry(entry, work.names);
    const name = nameOfEntry(entry.path);
    if (entry.type === 'dir') nodes.push({ ...node, name, subtree: await saveBelow(entry.path, work) });
    else if (entry.type === 'file')
      nodes.push({ ...node, name, content: content.length === 0 ? [] : [await work.saveBlob(content)] });
    else nodes.push({ ...node, name });
  }
  nodes.sort((one, other) => (one.name < other.name ? -1 : 1));
  return await work.saveTree(encodeTree(nodes.map((node) => encodeNode(node))));
}

function folderOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}
