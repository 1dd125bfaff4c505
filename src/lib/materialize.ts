import type { ByteString } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { TreeWriter, type TreeProgress, type TreeWriterOptions } from './tree-writer.ts';

/** An entry, and a file's bytes: those of its data runs for a sparse file. */
export interface TreeMember {
  readonly entry: Entry;
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Makes a whole stream of entries on disk below an existing directory, by the rules of `TreeWriter`: safely for
 * entries of any names in any order, with all metadata. What was made before an error stays.
 */
export async function materialize(
  root: ByteString,
  members: AsyncIterable<TreeMember>,
  options: TreeWriterOptions = {},
): Promise<TreeProgress> {
  using writer = new TreeWriter(root, options);
  for await (const { entry, body } of members) await writer.add(entry, body);
  return await writer.finish();
}
