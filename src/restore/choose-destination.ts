import type { VolumeScope } from '../leases/index.ts';
import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { JobOptions } from '../activity/index.ts';
import { refuseBehindLink, savedThroughLink, type RestoreChanges, summarize } from '../backup/index.ts';
import { nameOf, parentOf } from '../lib/on-disk.ts';
import { walkTree } from '../lib/tree-walk.ts';
import { fromText, toPath } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { commandLabels } from '../model/foreign-options.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot, VolumeDescription } from '../model/snapshot.ts';
import { parseTarget } from '../model/target.ts';
import type { Volume, VolumeSpec } from '../model/volume.ts';
import { isEmptyData } from '../quiesce/index.ts';
import { nameNow, compareTrees } from '../snapshots/index.ts';
import { recordedVolume } from './as-recorded.ts';
import { settlePath, settleVolume } from './settle.ts';
import { canKeepBeside } from './stage.ts';

/** Where the data goes. */
export type Destination =
  | { readonly kind: 'new-volume'; readonly name: string; readonly spec: VolumeSpec }
  | {
      readonly kind: 'volume';
      readonly name: string;
      readonly volume: Volume;
      readonly isEmpty: boolean;
      readonly way: 'direct' | 'stream';
      /** The engine mounts the storage only while containers run, so it cannot be replaced under them. */
      readonly isMountedByEngine: boolean;
      readonly canKeep: boolean;
    }
  | {
      readonly kind: 'directory';
      readonly name: string;
      /** The real path, when the named one leads through another user's link. */
      readonly realPath?: string | undefined;
      readonly isEmpty: boolean;
      /** Whether the replaced data can be kept for an undo; not in a mount point. */
      readonly canKeep: boolean;
    }
  | EntryDestination;

export interface DestinationRequest {
  readonly request: {
    readonly what: string;
    readonly to: string | undefined;
    readonly asRecorded?: boolean | undefined;
  };
  readonly snapshot: Snapshot;
}

export interface DestinationChoice {
  readonly destination: Destination;
  readonly notes: readonly string[];
  /** Why the volume is not created as the snapshot says. */
  readonly refusal?: AppError | undefined;
}

/** Decides where a snapshot goes; creates nothing. */
export async function chooseDestination(
  scope: VolumeScope,
  asked: DestinationRequest,
  options: JobOptions,
): Promise<DestinationChoice> {
  const { request, snapshot } = asked;
  if (request.to !== undefined) {
    const target = parseTarget(request.to);
    if (target.kind === 'path') {
      const name = path.resolve(target.path);
      const saved = await savedThroughLink(snapshot, name);
      await settlePath(scope, saved ?? name, options);
      if (saved !== undefined) {
        const destination = await directoryDestination(name);
        return { destination: { ...destination, name: saved, realPath: name }, notes: [] };
      }
      return { destination: await freshDirectory(name), notes: [] };
    }
    return await chooseOtherVolume(scope, { ...asked, name: target.name }, options);
  }
  const { volume } = snapshot;
  if (volume === undefined) {
    throw new AppError(
      'usage',
      `Snapshot ${quote(snapshot.id.slice(0, 8))} was made by another program and belongs to no volume`,
      {
        hint: 'Say where it goes: --to VOLUME, or --to ./DIRECTORY.',
      },
    );
  }
  if (volume.kind === 'path') {
    await settlePath(scope, volume.name, options);
    await refuseBehindLink(snapshot);
    const isFile = volume.isFile === true;
    const choose = isFile ? entryDestination : directoryDestination;
    return { destination: await choose(volume.name), notes: [] };
  }
  const name = await nameNow(scope, { what: request.what, recorded: volume }, options);
  return await chooseOwnVolume(scope, { ...asked, recorded: { ...volume, name } }, options);
}

/** Back to where it came from: the existing volume, or a new one as recorded. */
async function chooseOwnVolume(
  scope: VolumeScope,
  asked: DestinationRequest & { readonly recorded: VolumeDescription },
  options: JobOptions,
): Promise<DestinationChoice> {
  const { recorded } = asked;
  const host = await scope.host();
  const live = await host.findVolume(recorded.name, { signal: options.signal });
  if (live === undefined) {
    const made = recordedVolume(recorded, { isTrusted: asked.request.asRecorded === true });
    const { spec, ...told } = made;
    return { destination: { kind: 'new-volume', name: spec.name, spec }, ...told };
  }
  return { destination: await volumeDestination(scope, live, options), notes: [] };
}

/** Into another volume, which must be new or empty: a copy never replaces data. */
async function chooseOtherVolume(
  scope: VolumeScope,
  asked: DestinationRequest & { readonly name: string },
  options: JobOptions,
): Promise<DestinationChoice> {
  const host = await scope.host();
  const live = await host.findVolume(asked.name, { signal: options.signal });
  const recorded = asked.snapshot.volume;
  if (live === undefined) {
    if (recorded?.name === asked.name && recorded.kind === 'volume')
      return await chooseOwnVolume(scope, { ...asked, recorded }, options);
    const spec: VolumeSpec = { name: asked.name, driver: 'local', options: {}, labels: ownLabels(recorded) };
    const hadOptions =
      Object.keys(recorded?.options ?? {}).length > 0 || (recorded?.driver ?? 'local') !== 'local';
    const notes =
      hadOptions && recorded?.kind === 'volume'
        ? [
            `${quote(asked.name)} becomes an ordinary local volume: with the options of ${quote(recorded.name)} it would be the same storage.`,
          ]
        : [];
    return { destination: { kind: 'new-volume', name: asked.name, spec }, notes };
  }
  const destination = await volumeDestination(scope, live, options);
  if (destination.isEmpty) return { destination, notes: [] };
  throw new AppError('exists', `The volume ${quote(asked.name)} holds data already`, {
    hint: 'Choose a new name or an empty volume. In place, a volume is restored without --to.',
  });
}

/** A copy runs no hooks, is not part of its original's stack, and has a name of its own. */
function ownLabels(recorded: VolumeDescription | undefined): Record<string, string> {
  const entries = Object.entries(recorded?.labels ?? {});
  const commands = new Set(commandLabels(recorded?.labels ?? {}));
  return Object.fromEntries(
    entries.filter(
      ([key]) =>
        !key.startsWith('com.docker.compose.') && key !== 'com.docker.volume.anonymous' && !commands.has(key),
    ),
  );
}

async function volumeDestination(
  scope: VolumeScope,
  volume: Volume,
  options: JobOptions,
): Promise<Extract<Destination, { kind: 'volume' }>> {
  await settleVolume(scope, volume, options);
  const host = await scope.host();
  await using data = await host.openData(volume.name, { signal: options.signal });
  const isMountedByEngine = data.way === 'direct' && data.root.startsWith('/proc/self/fd/');
  return {
    kind: 'volume',
    name: volume.name,
    volume,
    isEmpty: await isEmptyData(data, options),
    way: data.way,
    isMountedByEngine,
    canKeep: data.way === 'direct' && !isMountedByEngine && (await canKeepBeside(data.root)),
  };
}

async function directoryDestination(name: string): Promise<Extract<Destination, { kind: 'directory' }>> {
  try {
    if (!(await lstat(name)).isDirectory())
      throw new AppError('conflict', `${quote(name)} is there, and is no directory`);
    const root = fromText(name);
    const names = await readdir(toPath(root));
    return { kind: 'directory', name, isEmpty: names.length === 0, canKeep: await canKeepBeside(root) };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { kind: 'directory', name, isEmpty: true, canKeep: true };
    throw error;
  }
}

async function freshDirectory(name: string): Promise<Destination> {
  const destination = await directoryDestination(name);
  if (destination.isEmpty) return destination;
  throw new AppError('exists', `The directory ${quote(name)} is not empty`, {
    hint: 'Restoring never mixes with what is there: choose a new or empty directory.',
  });
}

/**
 * A single entry of a folder, replaced or created on its own: a file, or a missing folder.
 *
 * Its name is swapped, so a crash leaves the old or the new one, never half. A container that mounts the file
 * on its own holds on to the old one until it is started again, as every restore does.
 */
export interface EntryDestination {
  readonly kind: 'entry';
  /** The absolute path. */
  readonly name: string;
  /** Nothing is there. */
  readonly isEmpty: boolean;
  /** A single file is there; not for a directory, which engines create where a file to mount is missing. */
  readonly isFile: boolean;
  /** The folders above it as they were saved, with absolute paths: missing ones are created so. */
  readonly folders?: readonly Entry[] | undefined;
  /** The replaced file is saved as a snapshot, not kept beside. */
  readonly canKeep: false;
}

/** Throws `conflict` where there is something other than a file or a directory. */
export async function entryDestination(name: string): Promise<EntryDestination> {
  const blank = { kind: 'entry', name, canKeep: false } as const;
  try {
    const found = await lstat(name);
    if (!found.isFile() && !found.isDirectory())
      throw new AppError('conflict', `${quote(name)} is there, and is neither a file nor a directory`, {
        hint: 'Look at it, move it away, and restore again; or restore to another place with --to.',
      });
    return { ...blank, isEmpty: false, isFile: found.isFile() };
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOTDIR')
      throw new AppError('conflict', `Cannot restore ${quote(name)}: a part of its path is no directory`, {
        cause: error,
      });
    if (errno === 'ENOENT') return { ...blank, isEmpty: true, isFile: false };
    throw error;
  }
}

/** What changes where it is replaced. `entry` is the new one. */
export async function changesOfEntry(
  { name }: EntryDestination,
  { entry, since }: { readonly entry: Entry; readonly since: string },
  options: JobOptions,
): Promise<RestoreChanges> {
  const changes = compareTrees(
    { before: only({ ...entry, path: nameOf(fromText(name)) }), after: liveEntry(name, options) },
    { isSameContent: (one, other) => one.mtimeNs === other.mtimeNs, comparesXattrs: true },
  );
  return await summarize(changes, since);
}

async function* only<T>(one: T): AsyncGenerator<T, void, undefined> {
  yield one;
}

/** The current entry of that name, without its contents; none when it is gone. */
async function* liveEntry(name: string, { signal }: JobOptions): AsyncGenerator<Entry, void, undefined> {
  const place = fromText(name);
  const wanted = nameOf(place);
  for await (const { entry } of walkTree(parentOf(place), { only: wanted, isFlat: true, signal }))
    if (entry.path === wanted) yield entry;
}
