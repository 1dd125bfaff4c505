import { measureTree } from '../../lib/measure-tree.ts';
import { fromText } from '../../model/byte-string.ts';

/**
 * The size of a directory's files in bytes, without directories and each file once, as the engine counts; -1
 * when it cannot be walked.
 */
export async function measureDirectory(path: string, signal?: AbortSignal): Promise<number> {
  try {
    const { bytes, targetBytes } = await measureTree(fromText(path), { signal });
    return bytes + targetBytes;
  } catch {
    // As the engine does: a size that cannot be measured is -1, and the volume is still listed or removed.
    return -1;
  }
}
