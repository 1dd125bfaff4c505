import { compileFinder, isNamePattern } from '../model/exclude.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { SnapshotEntry } from '../repository/index.ts';
import type { JobOptions } from '../activity/index.ts';
import { listSnapshots } from './snapshots.ts';
import { openSources, type SnapshotAccess } from './sources.ts';

export interface FindRequest {
  /** Names or paths, as .gitignore patterns. */
  readonly patterns: readonly string[];
  readonly ignoreCase: boolean;
  /** Prefixes of ids: of a blob of a file, or of a folder's tree. */
  readonly content: readonly string[];
  /** Only in snapshots of this volume or directory. */
  readonly volume: string | undefined;
  readonly tags: readonly string[];
}

export interface FoundEntry {
  readonly snapshot: Snapshot;
  readonly entry: SnapshotEntry;
}

/** Searches snapshots for files and folders, newest snapshot first. Yields matches as they are found. */
export async function* findEntries(
  access: SnapshotAccess,
  request: FindRequest,
  options: JobOptions,
): AsyncGenerator<FoundEntry, void, undefined> {
  const matches = matcherOf(request);
  const filter = { name: request.volume, tags: request.tags };
  const sources = await openSources(access);
  const snapshots = await listSnapshots(sources, filter, options);
  yield* sources.repository.find({
    snapshots: snapshots.toReversed(),
    matches,
    isAnywhere: request.patterns.every(isNamePattern),
    signal: options.signal,
    onProgress: options.onProgress,
  });
}

function matcherOf({ patterns, ignoreCase, content }: FindRequest): (entry: SnapshotEntry) => boolean {
  if (patterns.length + content.length === 0) {
    throw new AppError('usage', 'Nothing says what to find', {
      hint: 'Give names or patterns, such as "*.sql" or "/config/app.yml".',
    });
  }
  const isNamed = compileFinder(patterns, { ignoreCase });
  const ids = content.map(readId);
  return ({ path, type, contentKey }) =>
    isNamed(path, type === 'dir') || ids.some((id) => hasContent(contentKey, id));
}

function readId(text: string): string {
  const id = text.toLowerCase();
  if (/^[0-9a-f]{8,64}$/.test(id)) return id;
  throw new AppError('usage', `${quote(text)} is no id of a blob`, {
    hint: 'An id has 64 hex digits; its first eight will do.',
  });
}

/** A content key is a concatenation of ids of 64 digits. */
function hasContent(contentKey: string, id: string): boolean {
  for (let at = 0; at < contentKey.length; at += 64) if (contentKey.startsWith(id, at)) return true;
  return false;
}
