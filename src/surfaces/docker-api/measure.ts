import { measureTree } from '../../lib/measure-tree.ts';
import { fromText } from '../../model/byte-string.ts';

/** The sum of the lengths of the files in a directory, each counted once; -1 when it cannot be walked. */
export async function measureDirectory(path: string, signal?: AbortSignal): Promise<number> {
  try {
    return (await measureTree(fromText(path), { signal })).bytes;
  } catch {
    // As the engine does: a size that cannot be had is said to be none, and keeps nothing from being listed or removed.
    return -1;
  }
}
