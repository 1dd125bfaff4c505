import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * How many files lie in rclone's cache that are not in the storage yet. rclone notes it beside each of them; one that is
 * just being noted is looked at again by whoever waits.
 */
export async function unsavedFiles(
  cache: string,
  { olderThanMs = 0 }: { readonly olderThanMs?: number } = {},
): Promise<number> {
  const notes = join(cache, 'vfsMeta');
  const entries = await readdir(notes, { recursive: true, withFileTypes: true }).catch(() => []);
  let count = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    if ((await isUnsaved(path)) && (await isOlder(path, olderThanMs))) count++;
  }
  return count;
}

async function isUnsaved(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return false;
  try {
    return (JSON.parse(text) as { Dirty?: unknown }).Dirty === true;
  } catch {
    return true;
  }
}

async function isOlder(path: string, ms: number): Promise<boolean> {
  if (ms === 0) return true;
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > ms;
}
