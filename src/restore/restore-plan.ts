import { realpath, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { JobOptions } from '../activity/index.ts';
import { ownFoldersBelow, summarize, type RestoreChanges } from '../backup/index.ts';
import type { HostAccess, HostScope } from '../hosts/host.ts';
import { nameOf } from '../lib/on-disk.ts';
import { type ByteString, fromText, toPath, toText } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError } from '../model/errors.ts';
import type { OwnerMap } from '../model/owner-map.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { parseVolumePath } from '../model/target.ts';
import type { Consumer } from '../model/volume.ts';
import {
  placesOf,
  type LiveData,
  activeRefusal,
  pathConsumers,
  planStopsAt,
  type PlannedStops,
} from '../quiesce/index.ts';
import type { Repository, SnapshotEntry } from '../repository/index.ts';
import {
  compareSnapshotWithLive,
  doubtNotes,
  explainContainerPath,
  findContext,
  findSnapshot,
  type SnapshotSources,
} from '../snapshots/index.ts';
import { chooseDestination, type Destination, changesOfEntry } from './choose-destination.ts';
import { type BroughtBack, lineageNotes } from './restore-lineage.ts';

export interface RestoreRequest {
  /** `VOLUME`, `VOLUME@SNAPSHOT`, `VOLUME@TIME`, or a snapshot's id. */
  readonly what: string;
  /** Another volume, or a directory; undefined means where the data came from. */
  readonly to: string | undefined;
  /** Only this file or folder; undefined means everything. */
  readonly path: string | undefined;
  /** Save the replaced data as a snapshot first. */
  readonly safetySnapshot: boolean;
  /** How long the replaced data is kept beside for an undo; 0 keeps nothing. Default: a week. */
  readonly keepForMs?: number | undefined;
  /** How long containers may take to become healthy on the restored data. Default: two minutes. */
  readonly healthyWithinMs?: number | undefined;
  /** Recreate a missing volume with the devices, servers, secrets and hooks that the snapshot names. */
  readonly asRecorded?: boolean | undefined;
  /** Maps saved owners to others. */
  readonly mapOwner?: OwnerMap | undefined;
  /** Continue another machine's lineage: this machine takes its place. */
  readonly takeOver?: boolean | undefined;
}

export const defaultKeepMs = 7 * 86_400_000;
export const defaultHealthyWithinMs = 120_000;

/** Disk space that a restore takes on the disk of the live data, in bytes. */
export interface RestoreSpace {
  /** The new data, in the stage. */
  readonly comes: number | undefined;
  /** The current data, which stays on the disk for as long as it is kept. */
  readonly kept: number;
  readonly free: number | undefined;
}

export interface RestorePlan extends BroughtBack {
  readonly entry: SnapshotEntry;
  /** `path` is a file beside the data that containers need; absolute, without the first slash. */
  readonly inConfig?: boolean | undefined;
  /**
   * True for a part that goes where it came from; otherwise it goes into the destination under its own name.
   */
  readonly keepsPlace: boolean;
  /** Undefined where nothing is replaced. */
  readonly changes: RestoreChanges | undefined;
  /** Existing data is replaced: the user has to agree. */
  readonly replaces: boolean;
  readonly safetySnapshot: boolean;
  /** Names of the containers that run on it, in stop order; they are started again afterwards. */
  readonly stops: readonly string[];
  readonly healthyWithinMs: number;
  /** How long the replaced data is kept for an undo; 0 when it is not. */
  readonly keepForMs: number;
  readonly space: RestoreSpace | undefined;
  readonly mapOwner: OwnerMap | undefined;
  /** Why the restore is refused as things are now. */
  readonly refusal: AppError | undefined;
  readonly notes: readonly string[];
}

/** Where snapshots are, and where a restore works. */
export type RestoreScope = SnapshotSources & HostScope;

/** Finds out what a restore would do; changes nothing. */
export async function planRestore(
  scope: RestoreScope,
  request: RestoreRequest,
  options: JobOptions,
): Promise<RestorePlan> {
  const { repository } = scope;
  const context = await findContext(scope, options);
  const snapshot = findSnapshot(request.what, context);
  const inside = request.path === undefined ? wholeOf(snapshot) : parseVolumePath(request.path);
  const entry = await findEntry(repository, { snapshot, path: inside }, options);
  const { destination, notes, refusal } = await chooseDestination(scope, { request, snapshot }, options);
  const replaces = destination.kind !== 'new-volume' && !destination.isEmpty;
  const live = { bytes: 0 };
  const onLive = ({ size, hardLinkTo }: Entry): void =>
    void (live.bytes += hardLinkTo === undefined ? size : 0);
  const { time: since } = snapshot;
  const changes =
    destination.kind === 'entry'
      ? replaces
        ? await changesOfEntry(destination, { entry, since }, options)
        : undefined
      : replaces && inside === ''
        ? await withLiveData(scope, destination, options, (data) =>
            summarize(
              compareSnapshotWithLive(
                { repository, snapshot, data, onLive, mapOwner: request.mapOwner },
                options,
              ),
              snapshot.time,
            ),
          )
        : undefined;
  const stops = await stopsOf(scope, destination, options);
  const isWhole = replaces && inside === '';
  const keeps = isWhole && destination.canKeep;
  const takesOver = request.takeOver === true;
  const lineage = await lineageNotes(scope, { snapshot, path: inside, destination, takesOver }, options);
  return {
    snapshot,
    path: inside,
    entry,
    keepsPlace: request.to === undefined || isBehindLink(destination),
    destination,
    changes,
    replaces,
    safetySnapshot: replaces && request.safetySnapshot,
    stops: stops.names,
    healthyWithinMs: request.healthyWithinMs ?? defaultHealthyWithinMs,
    keepForMs: keeps ? (request.keepForMs ?? defaultKeepMs) : 0,
    space:
      isWhole && isDirect(destination)
        ? await spaceOf(scope, { snapshot, destination, kept: live.bytes }, options)
        : undefined,
    mapOwner: request.mapOwner,
    takesOver,
    refusal:
      refusal ?? (replaces ? await refuseOwnFolders(scope, destination, inside) : undefined) ?? stops.refusal,
    notes: [...notes, ...lineage, ...doubtNotes(snapshot, context), ...outageNotes(stops.names, destination)],
  };
}

/** No backup contains a state folder or a repository: replacing a directory with one would lose it. */
async function refuseOwnFolders(
  scope: Pick<RestoreScope, 'stateDir' | 'catalog'>,
  destination: Destination,
  inside: ByteString,
): Promise<AppError | undefined> {
  const places =
    destination.kind === 'directory'
      ? [destination.realPath ?? destination.name]
      : destination.kind === 'volume'
        ? placesOf(destination.volume).filter((place) => place.startsWith('/'))
        : [];
  for (const place of places) {
    const target = await realpath(inside === '' ? place : path.join(place, toText(inside))).catch(
      () => undefined,
    );
    const [own] = target === undefined ? [] : await ownFoldersBelow(scope, target);
    if (own === undefined) continue;
    return new AppError(
      'conflict',
      `Cannot restore ${quote(destination.name)} in place: Holdfast itself lies in it`,
      {
        detail: `${own.what}, ${quote(own.folder)}, would be taken away with what is there now.`,
        hint: 'Restore it to another directory with --to, or a part of it with --path.',
      },
    );
  }
  return undefined;
}

/** For a single file, the file: the folder that holds it is not restored. */
function wholeOf({ volume }: Snapshot): ByteString {
  return volume?.isFile === true ? nameOf(fromText(volume.name)) : '';
}

function isBehindLink(destination: Destination): boolean {
  return destination.kind === 'directory' && destination.realPath !== undefined;
}

function isDirect(destination: Destination): boolean {
  return destination.kind !== 'volume' || destination.way === 'direct';
}

async function spaceOf(
  access: HostAccess,
  { snapshot, destination, kept }: { snapshot: Snapshot; destination: Destination; kept: number },
  options: JobOptions,
): Promise<RestoreSpace> {
  // Room that cannot be measured is shown as unknown.
  const free = await withLiveData(access, destination, options, async (data) => {
    if (data.way === 'stream') return undefined;
    const { bavail, bsize } = await statfs(toPath(data.root));
    return bavail * bsize;
  }).catch(() => undefined);
  return { comes: snapshot.summary?.bytes, kept, free };
}

async function findEntry(
  repository: Repository,
  { snapshot, path: inside }: { snapshot: Snapshot; path: ByteString },
  options: JobOptions,
): Promise<SnapshotEntry> {
  try {
    for await (const entry of repository.walk(snapshot, inside, { depth: 0, signal: options.signal })) {
      if (entry.type === 'file' || entry.type === 'dir') return entry;
      throw new AppError('unsupported', `Cannot restore a ${entry.type} by itself`, {
        hint: 'Restore the folder that it is in.',
      });
    }
  } catch (error) {
    throw explainContainerPath(error, snapshot, toText(inside));
  }
  throw new AppError('integrity', `The snapshot ${quote(snapshot.id.slice(0, 8))} is empty`, {
    hint: 'Run "holdfast check".',
  });
}

async function withLiveData<T>(
  access: HostAccess,
  destination: Destination,
  options: JobOptions,
  use: (data: LiveData) => Promise<T>,
): Promise<T> {
  if (destination.kind === 'directory')
    return await use({ way: 'direct', root: fromText(destination.realPath ?? destination.name) });
  const host = await access.host();
  await using data = await host.openData(destination.name, { signal: options.signal });
  return await use(data);
}

/** Which containers have to be stopped, or why they cannot be. */
async function stopsOf(at: HostScope, destination: Destination, options: JobOptions): Promise<PlannedStops> {
  const consumers = await consumersOf(at, destination, options);
  const refusal = activeRefusal(destination.name, consumers);
  if (destination.kind === 'new-volume') return { names: [], refusal: undefined };
  // Where there is no engine, nothing is stopped.
  const host = await at.host().catch(() => undefined);
  if (host?.containers === undefined) return { names: [], refusal };
  if (destination.kind === 'volume' && (destination.way === 'stream' || destination.isMountedByEngine))
    return { names: [], refusal };
  const kind = destination.kind === 'volume' ? 'volume' : 'path';
  const places = [{ kind, name: destination.name } as const];
  return await planStopsAt(at, { containers: host.containers, places }, options);
}

/**
 * The warnings for a destination whose stage containers can write to: they are stopped before it is filled,
 * not only for the swap. Pure.
 */
export function outageNotes(
  stops: readonly string[],
  destination: Pick<Destination, 'kind' | 'name'> & { readonly canKeep?: boolean },
): string[] {
  const { kind } = destination;
  if (kind === 'new-volume' || kind === 'entry') return [];
  if (stops.length === 0 || destination.canKeep !== false) return [];
  return [
    `${quote(destination.name)} cannot be swapped as a whole, as a mount point: what uses it is stopped for as long as the restore takes.`,
  ];
}

async function consumersOf(
  access: HostAccess,
  destination: Destination,
  options: JobOptions,
): Promise<readonly Consumer[]> {
  if (destination.kind === 'new-volume') return [];
  if (destination.kind === 'volume') return destination.volume.consumers;
  return await pathConsumers(access, destination.name, options);
}
