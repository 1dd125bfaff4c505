import type { DirectoryHandle } from '../../lib/directory-handle.ts';
import type { ByteString } from '../../model/byte-string.ts';
import type { NodeText } from '../format/node.ts';
import type { ParentDirectory } from './parent-directory.ts';
import type { FileChange } from './file-changes.ts';

/** A directory under way: what it was walked from, and where its tree's nodes will be. */
export interface Place {
  /** Open until all that is in it has been read: a directory that another program swaps for a link leads nowhere else. */
  readonly handle: DirectoryHandle;
  /** The root of the backup, for people. */
  readonly directory: ByteString;
  /** Relative to the root of the backup. */
  readonly path: ByteString;
  readonly parent: ParentDirectory | undefined;
}

/** A node's text, undefined for what has none, or a promise of it. */
export type Slot = NodeText | undefined | Promise<NodeText | undefined>;

export function childPath({ path }: Pick<Place, 'path'>, name: ByteString): ByteString {
  return path === '' ? name : `${path}/${name}`;
}

export function changeOf({ parent }: Pick<Place, 'parent'>, name: ByteString): FileChange {
  return parent?.has(name) ? 'changed' : 'new';
}
