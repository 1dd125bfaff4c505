import { statfs } from 'node:fs/promises';
import type { DriverUsage } from './driver.ts';

/** What the file system at a path says of its room. */
export async function roomAt(path: string): Promise<DriverUsage> {
  const { bsize, blocks, bfree, bavail } = await statfs(path);
  return { totalBytes: blocks * bsize, usedBytes: (blocks - bfree) * bsize, freeBytes: bavail * bsize };
}
