import type { DirectoryHandle } from '../../lib/directory-handle.ts';
import type { ByteString } from '../../model/byte-string.ts';
import type { NodeText } from '../format/node.ts';
import type { ParentDirectory } from './parent-directory.ts';
import type { FileChange } from './file-changes.ts';

/** A directory being walked, and where its tree's nodes will be. */
export interface Place {
  /** Open until everything in it has been read: swapping the directory for a link then leads nowhere else. */
  readonly handle: DirectoryHandle;
  /** The root of the backup, for messages. */
  readonly directory: ByteString;
  /** Relative to the root of the backup. */
  readonly path: ByteString;
  readonly parent: ParentDirectory | undefined;
}

/** A node's text, undefined when there is none, or a promise of it. */
export type Slot = NodeText | undefined | Promise<NodeText | undefined>;

export function childPath({ path }: Pick<Place, 'path'>, name: ByteString): ByteString {
  return path === '' ? name : `${path}/${name}`;
}

export function changeOf({ parent }: Pick<Place, 'parent'>, name: ByteString): FileChange {
  return parent?.has(name) ? 'changed' : 'new';
}
