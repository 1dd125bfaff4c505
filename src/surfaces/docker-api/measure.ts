import { measureTree } from '../../lib/measure-tree.ts';
import { fromText } from '../../model/byte-string.ts';

/** The bytes of everything but directories in one, as the engine counts them, each file once; -1 when it cannot be walked. */
export async function measureDirectory(path: string, signal?: AbortSignal): Promise<number> {
  try {
    const { bytes, targetBytes } = await measureTree(fromText(path), { signal });
    return bytes + targetBytes;
  } catch {
    // As the engine does: a size that cannot be had is said to be none, and keeps nothing from being listed or removed.
    return -1;
  }
}
