import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** A tree's content, for comparison. */
export interface TreeDigest {
  readonly files: number;
  readonly bytes: number;
  /** SHA-256 of every path, type, mode, time in seconds, link target and byte. */
  readonly digest: string;
}

/**
 * Reads a tree, file times included by default. The root's own mode and time do not count: not every peer
 * saves them.
 */
export async function digestTree(
  root: string,
  signal: AbortSignal,
  { withTimes = true } = {},
): Promise<TreeDigest> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(2 ** 20);
  const totals = { files: 0, bytes: 0 };
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    for (const name of readdirSync(join(root, folder)).sort()) {
      const path = join(folder, name);
      const full = join(root, path);
      const stats = lstatSync(full);
      hash.update(`${path}\0${stats.mode}\0`);
      if (stats.isDirectory()) folders.push(path);
      else if (stats.isSymbolicLink()) hash.update(`${readlinkSync(full)}\0`);
      else {
        hash.update(`${stats.size}\0${withTimes ? Math.floor(stats.mtimeMs / 1000) : ''}\0`);
        totals.files += 1;
        totals.bytes += hashContent(full, hash, buffer);
      }
    }
  }
  return { ...totals, digest: hash.digest('hex') };
}

/** Describes how the second tree differs from the first; undefined when they are equal. */
export function describeDifference(expected: TreeDigest, actual: TreeDigest): string | undefined {
  if (expected.digest === actual.digest) return undefined;
  if (expected.files !== actual.files) return `${actual.files} files came back instead of ${expected.files}`;
  if (expected.bytes !== actual.bytes) return `${actual.bytes} bytes came back instead of ${expected.bytes}`;
  return 'what came back has other bytes, names, modes or times than what was saved';
}

function hashContent(path: string, hash: Hash, buffer: Buffer): number {
  const file = openSync(path, 'r');
  try {
    let total = 0;
    const size = fstatSync(file).size;
    while (total < size) {
      const read = readSync(file, buffer, 0, buffer.length, null);
      if (read === 0) break;
      hash.update(buffer.subarray(0, read));
      total += read;
    }
    return total;
  } finally {
    closeSync(file);
  }
}
