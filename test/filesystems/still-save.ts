import { readdirSync, readlinkSync } from 'node:fs';
import type { Repository, SaveOptions, SaveResult } from '../../src/repository/index.ts';
import { allOf, testVolume } from '../fixtures/open-repository.ts';

/** The options for saving a folder that is kept still. */
export function saveOf(root: string): SaveOptions {
  return {
    source: { kind: 'directory', root },
    volume: testVolume,
    tags: [],
    hostname: 'host',
    timeMs: Date.now(),
    grade: 'crash',
    excludePatterns: [],
  };
}

/** The content of each saved file, by path. Throws where something could not be read. */
export async function savedContent(
  repository: Repository,
  result: SaveResult | undefined,
): Promise<Map<string, Buffer>> {
  if (result?.snapshot === undefined) throw new Error('Nothing was saved');
  if (result.problems.length > 0) throw new Error(`Not all was saved: ${JSON.stringify(result.problems)}`);
  const content = new Map<string, Buffer>();
  for await (const entry of repository.walk(result.snapshot, ''))
    if (entry.type === 'file')
      content.set(entry.path, Buffer.concat(await allOf(repository.readFile(result.snapshot, entry))));
  return content;
}

/** The nameless files that this process has open on these disks. */
export function namelessOn(...disks: readonly string[]): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    const link = linkOf(fd);
    return link.endsWith('(deleted)') && disks.some((disk) => link.startsWith(disk)) ? [link] : [];
  });
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The descriptor of the listing itself.
    return '';
  }
}
