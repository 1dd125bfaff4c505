import type { DirectoryData, Host, StreamData } from '../hosts/host.ts';
import { walkTree } from '../lib/tree-walk.ts';
import { type ByteString, toPrintable } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { findVolume } from './find-volume.ts';
import { resolvePlace } from './resolve-place.ts';
import { findStreamPlace, readStream } from './stream-place.ts';
import type { BrowsedEntry, BrowseResult, VolumePlace, VolumeWorkOptions } from './host-volumes.ts';
import { WorkLog } from './work-log.ts';

/** What is at a place of a volume: a directory's entries, or a single entry. */
export async function browseVolume(
  host: Host,
  place: VolumePlace,
  options: VolumeWorkOptions,
): Promise<BrowseResult> {
  const log = new WorkLog(options);
  await findVolume(host, place.volume, { action: 'browse', signal: log.signal });
  await using data = await host.openData(place.volume, { signal: log.signal });
  const found =
    data.way === 'direct' ? await browseDirectory(data, place, log) : await browseStream(data, place, log);
  return { ...found, problems: log.report().problems };
}

type Found = Omit<BrowseResult, 'problems'>;

async function browseDirectory(
  { root }: DirectoryData,
  { volume, path }: VolumePlace,
  log: WorkLog,
): Promise<Found> {
  using place = resolvePlace(root, path, { volume, followLast: true });
  const { stat, parent, name } = place;
  if (stat === undefined) throw missing(volume, path);
  const { signal, onProblem } = log;
  const isDirectory = stat.isDirectory();
  // For a single entry, its directory is walked for that entry alone.
  using directory = isDirectory ? parent.openChild(name) : parent.openChild('.');
  const entries: BrowsedEntry[] = [];
  let type: Entry['type'] = 'dir';
  const walk = walkTree(directory.at('.'), {
    signal,
    onProblem,
    statOnly: true,
    only: isDirectory ? undefined : name,
    isFlat: true,
  });
  for await (const { entry } of walk) {
    if (entry.path === '') continue;
    if (!isDirectory) type = entry.type;
    entries.push(browsed(entry, entry.path));
  }
  return { path: place.path, type, entries };
}

async function browseStream(data: StreamData, { volume, path }: VolumePlace, log: WorkLog): Promise<Found> {
  const place = await findStreamPlace(data, path, { volume, followLast: true, log });
  if (place.entry === undefined) throw missing(volume, path);
  const base = baseName(place.path);
  if (place.entry.type !== 'dir') {
    return { path: place.path, type: place.entry.type, entries: [browsed(place.entry, base)] };
  }
  const entries: BrowsedEntry[] = [];
  const start = place.path === '' ? 0 : place.path.length + 1;
  for await (const { entry } of readStream(data, place.path, log)) {
    const below = entry.path.slice(start);
    if (below !== '' && !below.includes('/')) entries.push(browsed(entry, below));
  }
  entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  return { path: place.path, type: 'dir', entries };
}

function browsed(entry: Entry, name: ByteString): BrowsedEntry {
  return {
    name,
    type: entry.type,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    modifiedAt: timeText(entry.mtimeNs),
    linkTarget: entry.linkTarget,
  };
}

/** RFC 3339 to the millisecond, clamped to its range. */
function timeText(timeNs: bigint): string {
  const milliseconds = Number(timeNs / 1_000_000n);
  const bounded = Math.min(
    Math.max(milliseconds, Date.parse('0000-01-01')),
    Date.parse('9999-12-31T23:59:59.999Z'),
  );
  return new Date(bounded).toISOString();
}

function baseName(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function missing(volume: string, path: ByteString): AppError {
  return new AppError('not-found', `Cannot find ${quote(toPrintable(path))} in volume ${quote(volume)}`, {
    hint: `List what there is: holdfast volume browse ${volume}`,
  });
}
