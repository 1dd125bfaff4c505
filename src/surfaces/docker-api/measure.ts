import { walkTree } from '../../lib/tree-walk.ts';
import { fromText } from '../../model/byte-string.ts';

/** The sum of the lengths of the files in a directory, each counted once; -1 when it cannot be walked. */
export async function measureDirectory(path: string, signal?: AbortSignal): Promise<number> {
  let bytes = 0;
  try {
    const walk = walkTree(fromText(path), { signal, statOnly: true, onProblem: () => undefined });
    for await (const { entry } of walk) {
      if (entry.type === 'file' && entry.hardLinkTo === undefined) bytes += entry.size;
    }
  } catch {
    // As the engine does: a size that cannot be had is said to be none, and keeps nothing from being listed or removed.
    return -1;
  }
  return bytes;
}
