import { mapOwner } from '../lib/map-owner.ts';
import { fromText } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError } from '../model/errors.ts';
import type { OwnerMap } from '../model/owner-map.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Repository, SnapshotEntry } from '../repository/index.ts';
import { type Change, type CompareOptions, compareTrees } from './compare-trees.ts';
import { findSnapshot } from './find-snapshot.ts';
import { type LiveData, liveEntries } from '../quiesce/index.ts';
import { nameNow } from './name-now.ts';
import { nameOf, parentOf } from '../lib/on-disk.ts';
import { findVolume } from '../volumes/index.ts';
import type { JobOptions } from '../activity/index.ts';
import { findContext } from './snapshots.ts';
import type { SnapshotSources } from './sources.ts';

export interface DiffRequest {
  readonly before: string;
  /** Undefined compares with the live volume. */
  readonly after: string | undefined;
}

export interface DiffResult {
  readonly before: Snapshot;
  /** Undefined for the live volume. */
  readonly after: Snapshot | undefined;
  readonly changes: AsyncIterable<Change>;
}

/**
 * The differences between two snapshots, or between a snapshot and the live volume. Changes are found as they
 * are read.
 */
export async function diff(
  sources: SnapshotSources,
  request: DiffRequest,
  options: JobOptions,
): Promise<DiffResult> {
  const { repository } = sources;
  const context = await findContext(sources, options);
  const before = findSnapshot(request.before, context);
  if (request.after === undefined)
    return {
      before,
      after: undefined,
      changes: compareWithLive(sources, { what: request.before, snapshot: before }, options),
    };
  const after = findSnapshot(request.after, context);
  const { signal } = options;
  const trees = {
    before: repository.walk(before, '', { signal }),
    after: repository.walk(after, '', { signal }),
  };
  return { before, after, changes: compareTrees(trees, { isSameContent: sameKey, comparesXattrs: true }) };
}

function sameKey(before: SnapshotEntry, after: SnapshotEntry): boolean {
  return before.contentKey === after.contentKey;
}

async function* compareWithLive(
  sources: SnapshotSources,
  named: NamedSnapshot,
  options: JobOptions,
): AsyncGenerator<Change, void, undefined> {
  await using opened = await openLive(sources, named, options);
  const { snapshot } = named;
  const { repository } = sources;
  yield* compareSnapshotWithLive({ repository, snapshot, data: opened.data }, options);
}

export interface SnapshotAndLive {
  readonly repository: Repository;
  readonly snapshot: Snapshot;
  readonly data: LiveData;
  /** The owners that the snapshot's files get when restored. */
  readonly mapOwner?: OwnerMap | undefined;
  /** Called for each entry of the live data. */
  readonly onLive?: ((entry: Entry) => void) | undefined;
}

/** Files of the same size and time count as the same; their content is not read. */
export function compareSnapshotWithLive(
  { repository, snapshot, data, onLive, mapOwner: map }: SnapshotAndLive,
  options: JobOptions,
): AsyncIterable<Change> {
  const rules: CompareOptions<SnapshotEntry, Entry> = {
    isSameContent: (before, after) => isSameTime(before.mtimeNs, after.mtimeNs),
    comparesXattrs: data.way === 'direct',
  };
  const before = owned(repository.walk(snapshot, '', { signal: options.signal }), map);
  const changes = compareTrees(
    { before: coarse(before, data), after: coarse(told(liveEntries(data, options), onLive), data) },
    rules,
  );
  return data.only === undefined ? changes : withoutRoot(changes);
}

/** The parent folder of a single file is no part of the snapshot. */
async function* withoutRoot(changes: AsyncIterable<Change>): AsyncGenerator<Change, void, undefined> {
  for await (const change of changes) if (change.path !== '') yield change;
}

async function* owned<T extends Entry>(
  entries: AsyncIterable<T>,
  map: OwnerMap | undefined,
): AsyncGenerator<T, void, undefined> {
  for await (const entry of entries) yield mapOwner(entry, map);
}

async function* told<T>(
  entries: AsyncIterable<T>,
  tell: ((entry: T) => void) | undefined,
): AsyncGenerator<T, void, undefined> {
  for await (const entry of entries) {
    tell?.(entry);
    yield entry;
  }
}

function isSameTime(before: bigint, after: bigint): boolean {
  return before === after;
}

/** Streams of container engines have times in whole seconds: both sides are rounded to those. */
async function* coarse<T extends Entry>(
  entries: AsyncIterable<T>,
  data: LiveData,
): AsyncGenerator<T, void, undefined> {
  if (data.way === 'direct') return yield* entries;
  for await (const entry of entries) yield { ...entry, mtimeNs: wholeSecond(entry.mtimeNs) };
}

/** Rounds down, before 1970 too. */
function wholeSecond(ns: bigint): bigint {
  const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return ns - rest;
}

interface OpenedLive extends AsyncDisposable {
  readonly data: LiveData;
}

interface NamedSnapshot {
  /** The reference that the user named. */
  readonly what: string;
  readonly snapshot: Snapshot;
}

async function openLive(
  sources: Pick<SnapshotSources, 'catalog' | 'host'>,
  { what, snapshot }: NamedSnapshot,
  options: JobOptions,
): Promise<OpenedLive> {
  const { volume } = snapshot;
  if (volume === undefined) {
    throw new AppError('usage', `Snapshot ${quote(snapshot.id.slice(0, 8))} belongs to no volume here`, {
      hint: 'Name a second snapshot to compare it with.',
    });
  }
  if (volume.kind === 'path' && volume.isFile === true) {
    const file = fromText(volume.name);
    const data = { way: 'direct', root: parentOf(file), only: nameOf(file) } as const;
    return { data, async [Symbol.asyncDispose]() {} };
  }
  if (volume.kind === 'path') {
    return { data: { way: 'direct', root: fromText(volume.name) }, async [Symbol.asyncDispose]() {} };
  }
  const host = await sources.host();
  const name = await nameNow(sources, { what, recorded: volume }, options);
  await findVolume(host, name, options);
  const data = await host.openData(name, { signal: options.signal });
  return { data, [Symbol.asyncDispose]: () => data[Symbol.asyncDispose]() };
}
