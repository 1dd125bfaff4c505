import { lstat, readdir, statfs } from 'node:fs/promises';
import path from 'node:path';
import { type ByteString, fromText, toPath } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import type { OwnerMap } from '../model/owner-map.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot, VolumeDescription } from '../model/snapshot.ts';
import { parseTarget, parseVolumePath } from '../model/target.ts';
import { type Consumer, type Volume, type VolumeSpec } from '../model/volume.ts';
import type { Entry } from '../model/entry.ts';
import type { SnapshotEntry } from '../repository/index.ts';
import type { Change } from './compare-trees.ts';
import { pathConsumers } from './describe-volume.ts';
import { compareSnapshotWithLive } from './diff.ts';
import { activeRefusal } from './refuse-active.ts';
import { findSnapshot } from './find-snapshot.ts';
import { type LiveData, isEmptyData } from './live-tree.ts';
import type { JobOptions, Protection } from './protection.ts';
import { findConsumers, isUp, planStops } from './restore-consumers.ts';
import { settlePath, settleVolume } from './settle.ts';
import { findContext } from './snapshots.ts';

export interface RestoreRequest {
  /** `VOLUME`, `VOLUME@SNAPSHOT`, `VOLUME@TIME`, a snapshot's id. */
  readonly what: string;
  /** Another volume, or a directory; undefined is where it came from. */
  readonly to: string | undefined;
  /** Only this file or folder; undefined is all of it. */
  readonly path: string | undefined;
  /** Save what is replaced as a snapshot before. */
  readonly safetySnapshot: boolean;
  /** How long what is replaced is kept beside for an undo; 0 keeps nothing. A week unless given. */
  readonly keepForMs?: number | undefined;
  /** How long containers may take to be healthy on the restored data. Two minutes unless given. */
  readonly healthyWithinMs?: number | undefined;
  /** Other owners than those that were saved. */
  readonly mapOwner?: OwnerMap | undefined;
}

export const defaultKeepMs = 7 * 86_400_000;
const defaultHealthyWithinMs = 120_000;

/** Where the data goes. */
export type Destination =
  | { readonly kind: 'new-volume'; readonly name: string; readonly spec: VolumeSpec }
  | {
      readonly kind: 'volume';
      readonly name: string;
      readonly volume: Volume;
      readonly isEmpty: boolean;
      readonly way: 'direct' | 'stream';
      /** Its storage is mounted by the engine only while containers run: it cannot be replaced under them. */
      readonly isMountedByEngine: boolean;
    }
  | { readonly kind: 'directory'; readonly name: string; readonly isEmpty: boolean };

/** What a restore changes in data that is there. */
export interface RestoreChanges {
  /** In the snapshot and not in the live data: comes back. */
  readonly comesBack: number;
  readonly changes: number;
  readonly metadata: number;
  /** In the live data and not in the snapshot: goes away. */
  readonly goesAway: number;
  /** Live files that were written after the snapshot was taken. */
  readonly newer: number;
  readonly examples: readonly {
    readonly kind: 'comes back' | 'changes' | 'goes away';
    readonly path: ByteString;
    readonly isNewer: boolean;
  }[];
}

/** What a restore takes on the disk of the live data, in bytes. */
export interface RestoreSpace {
  /** What is made ready beside. */
  readonly comes: number | undefined;
  /** What is there now; it stays on the disk for as long as it is kept. */
  readonly kept: number;
  readonly free: number | undefined;
}

export interface RestorePlan {
  readonly snapshot: Snapshot;
  /** What is restored; its path is '' when it is the whole snapshot. */
  readonly path: ByteString;
  readonly entry: SnapshotEntry;
  /** A part goes where it came from; otherwise it goes into the destination under its own name. */
  readonly keepsPlace: boolean;
  readonly destination: Destination;
  /** Undefined where nothing is replaced. */
  readonly changes: RestoreChanges | undefined;
  /** Data that is there is replaced: the user has to agree. */
  readonly replaces: boolean;
  readonly safetySnapshot: boolean;
  /** Names of the containers that run on it, in the order in which they are stopped; they are started again afterwards. */
  readonly stops: readonly string[];
  readonly healthyWithinMs: number;
  /** How long what is replaced is kept for an undo; 0 when it is not. */
  readonly keepForMs: number;
  readonly space: RestoreSpace | undefined;
  readonly mapOwner: OwnerMap | undefined;
  /** Why it is refused as things are now. */
  readonly refusal: AppError | undefined;
  readonly notes: readonly string[];
}

/** Finds out what a restore would do; nothing is touched. */
export async function planRestore(
  parts: Protection,
  request: RestoreRequest,
  options: JobOptions,
): Promise<RestorePlan> {
  const repository = await parts.repository();
  const snapshot = findSnapshot(request.what, await findContext(parts, options));
  const inside = request.path === undefined ? '' : parseVolumePath(request.path);
  const entry = await findEntry(parts, { snapshot, path: inside }, options);
  const { destination, notes } = await chooseDestination(
    parts,
    { request, snapshot, entry, inside },
    options,
  );
  const replaces = destination.kind !== 'new-volume' && !destination.isEmpty;
  const live = { bytes: 0 };
  const onLive = ({ size, hardLinkTo }: Entry): void =>
    void (live.bytes += hardLinkTo === undefined ? size : 0);
  const changes =
    replaces && inside === ''
      ? await withLiveData(parts, destination, options, (data) =>
          summarize(
            compareSnapshotWithLive(
              { repository, snapshot, data, onLive, mapOwner: request.mapOwner },
              options,
            ),
            snapshot.time,
          ),
        )
      : undefined;
  const stops = await stopsOf(parts, destination, options);
  const keeps = replaces && inside === '' && isDirect(destination);
  return {
    snapshot,
    path: inside,
    entry,
    keepsPlace: request.to === undefined,
    destination,
    changes,
    replaces,
    safetySnapshot: replaces && request.safetySnapshot,
    stops: stops.names,
    healthyWithinMs: request.healthyWithinMs ?? defaultHealthyWithinMs,
    keepForMs: keeps ? (request.keepForMs ?? defaultKeepMs) : 0,
    space: keeps ? await spaceOf(parts, { snapshot, destination, kept: live.bytes }, options) : undefined,
    mapOwner: request.mapOwner,
    refusal: stops.refusal,
    notes,
  };
}

function isDirect(destination: Destination): boolean {
  return destination.kind !== 'volume' || destination.way === 'direct';
}

async function spaceOf(
  parts: Protection,
  { snapshot, destination, kept }: { snapshot: Snapshot; destination: Destination; kept: number },
  options: JobOptions,
): Promise<RestoreSpace> {
  const free = await withLiveData(parts, destination, options, async (data) => {
    if (data.way === 'stream') return undefined;
    const { bavail, bsize } = await statfs(toPath(data.root));
    return bavail * bsize;
  }).catch(() => undefined);
  return { comes: snapshot.summary?.bytes, kept, free };
}

interface PlannedStops {
  readonly names: readonly string[];
  readonly refusal: AppError | undefined;
}

/** Who has to be stopped for it, or why that is not possible. */
async function stopsOf(
  parts: Protection,
  destination: Destination,
  options: JobOptions,
): Promise<PlannedStops> {
  const consumers = await consumersOf(parts, destination, options);
  const refusal = activeRefusal(destination.name, consumers);
  if (destination.kind === 'new-volume') return { names: [], refusal: undefined };
  const host = await parts.host().catch(() => undefined);
  if (host?.containers === undefined) return { names: [], refusal };
  if (destination.kind === 'volume' && (destination.way === 'stream' || destination.isMountedByEngine))
    return { names: [], refusal };
  const kind = destination.kind === 'volume' ? 'volume' : 'path';
  const { name } = destination;
  const before = (await findConsumers(parts, [{ kind, name }], options)).filter(isUp);
  if (before.length === 0) return { names: [], refusal: undefined };
  const stops = await planStops(host.containers, { before, names: [name] }, options);
  return {
    names: stops.levels.flat().map(({ identity }) => identity.name),
    refusal: stops.refusal,
  };
}

async function findEntry(
  parts: Protection,
  { snapshot, path: inside }: { snapshot: Snapshot; path: ByteString },
  options: JobOptions,
): Promise<SnapshotEntry> {
  const repository = await parts.repository();
  for await (const entry of repository.walk(snapshot, inside, { depth: 0, signal: options.signal })) {
    if (entry.type === 'file' || entry.type === 'dir') return entry;
    throw new AppError('unsupported', `Cannot restore a ${entry.type} by itself`, {
      hint: 'Restore the folder that it is in.',
    });
  }
  throw new AppError('integrity', `The snapshot ${quote(snapshot.id.slice(0, 8))} is empty`, {
    hint: 'Run "holdfast check".',
  });
}

interface Wish {
  readonly request: RestoreRequest;
  readonly snapshot: Snapshot;
  readonly entry: SnapshotEntry;
  readonly inside: ByteString;
}

interface Choice {
  readonly destination: Destination;
  readonly notes: readonly string[];
}

async function chooseDestination(parts: Protection, wish: Wish, options: JobOptions): Promise<Choice> {
  const { request, snapshot } = wish;
  if (request.to !== undefined) {
    const target = parseTarget(request.to);
    if (target.kind === 'path') {
      const name = path.resolve(target.path);
      await settlePath(parts, name, options);
      return { destination: await freshDirectory(name), notes: [] };
    }
    return await chooseOtherVolume(parts, { ...wish, name: target.name }, options);
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
    await settlePath(parts, volume.name, options);
    return { destination: await directoryDestination(volume.name), notes: [] };
  }
  return await chooseOwnVolume(parts, { ...wish, recorded: volume }, options);
}

/** Back to where it came from: the volume as it is, or made again as it was recorded. */
async function chooseOwnVolume(
  parts: Protection,
  wish: Wish & { readonly recorded: VolumeDescription },
  options: JobOptions,
): Promise<Choice> {
  const { recorded } = wish;
  const host = await parts.host();
  const live = await host.findVolume(recorded.name, { signal: options.signal });
  const { driver, options: driverOptions, labels, name } = recorded;
  if (live === undefined) {
    return {
      destination: { kind: 'new-volume', name, spec: { name, driver, options: driverOptions, labels } },
      notes: [],
    };
  }
  const info = await host.info({ signal: options.signal });
  const notes =
    recorded.host.identity === info.identity ? [] : [`The snapshot comes from ${quote(recorded.host.name)}.`];
  return { destination: await volumeDestination(parts, live, options), notes };
}

/** Into another volume, which must be new or empty: a copy never replaces data. */
async function chooseOtherVolume(
  parts: Protection,
  wish: Wish & { readonly name: string },
  options: JobOptions,
): Promise<Choice> {
  const host = await parts.host();
  const live = await host.findVolume(wish.name, { signal: options.signal });
  const recorded = wish.snapshot.volume;
  if (live === undefined) {
    if (recorded?.name === wish.name && recorded.kind === 'volume')
      return await chooseOwnVolume(parts, { ...wish, recorded }, options);
    const spec: VolumeSpec = { name: wish.name, driver: 'local', options: {}, labels: ownLabels(recorded) };
    const hadOptions =
      Object.keys(recorded?.options ?? {}).length > 0 || (recorded?.driver ?? 'local') !== 'local';
    const notes =
      hadOptions && recorded?.kind === 'volume'
        ? [
            `${quote(wish.name)} becomes an ordinary local volume: with the options of ${quote(recorded.name)} it would be the same storage.`,
          ]
        : [];
    return { destination: { kind: 'new-volume', name: wish.name, spec }, notes };
  }
  const destination = await volumeDestination(parts, live, options);
  if (destination.isEmpty) return { destination, notes: [] };
  throw new AppError('exists', `The volume ${quote(wish.name)} holds data already`, {
    hint: 'Choose a new name or an empty volume. In place, a volume is restored without --to.',
  });
}

/** A copy is no part of the stack that its original belongs to, and has a name. */
function ownLabels(recorded: VolumeDescription | undefined): Record<string, string> {
  const entries = Object.entries(recorded?.labels ?? {});
  return Object.fromEntries(
    entries.filter(
      ([key]) => !key.startsWith('com.docker.compose.') && key !== 'com.docker.volume.anonymous',
    ),
  );
}

async function volumeDestination(
  parts: Protection,
  volume: Volume,
  options: JobOptions,
): Promise<Extract<Destination, { kind: 'volume' }>> {
  await settleVolume(parts, volume, options);
  const host = await parts.host();
  await using data = await host.openData(volume.name, { signal: options.signal });
  return {
    kind: 'volume',
    name: volume.name,
    volume,
    isEmpty: await isEmptyData(data, options),
    way: data.way,
    isMountedByEngine: data.way === 'direct' && data.root.startsWith('/proc/self/fd/'),
  };
}

async function directoryDestination(name: string): Promise<Extract<Destination, { kind: 'directory' }>> {
  try {
    if (!(await lstat(name)).isDirectory())
      throw new AppError('conflict', `${quote(name)} is there, and is no directory`);
    const names = await readdir(toPath(fromText(name)));
    return { kind: 'directory', name, isEmpty: names.length === 0 };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { kind: 'directory', name, isEmpty: true };
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

async function consumersOf(
  parts: Protection,
  destination: Destination,
  options: JobOptions,
): Promise<readonly Consumer[]> {
  if (destination.kind === 'new-volume') return [];
  if (destination.kind === 'volume') return destination.volume.consumers;
  return await pathConsumers(parts, destination.name, options);
}

async function withLiveData<T>(
  parts: Protection,
  destination: Destination,
  options: JobOptions,
  use: (data: LiveData) => Promise<T>,
): Promise<T> {
  if (destination.kind === 'directory') return await use({ way: 'direct', root: fromText(destination.name) });
  const host = await parts.host();
  await using data = await host.openData(destination.name, { signal: options.signal });
  return await use(data);
}

const examplesAtMost = 5;

/** Counts what would change, seen from the live data. The changes are told from the snapshot to the live data. */
export async function summarize(changes: AsyncIterable<Change>, since: string): Promise<RestoreChanges> {
  const takenNs = BigInt(Date.parse(since)) * 1_000_000n;
  const counts = { comesBack: 0, changes: 0, metadata: 0, goesAway: 0, newer: 0 };
  const examples: RestoreChanges['examples'][number][] = [];
  const kinds = { removed: 'comes back', added: 'goes away', changed: 'changes' } as const;
  for await (const change of changes) {
    if (change.path === '') continue;
    if (change.kind === 'metadata') counts.metadata++;
    else if (change.kind === 'removed') counts.comesBack++;
    else if (change.kind === 'added') counts.goesAway++;
    else counts.changes++;
    const isNewer = change.type === 'file' && change.kind !== 'removed' && change.mtimeNsAfter > takenNs;
    if (isNewer) counts.newer++;
    if (change.kind === 'metadata') continue;
    // Newer data has places of its own: it is what the user must not overlook.
    const shown = examples.filter((example) => example.isNewer === isNewer).length;
    if (shown < examplesAtMost) examples.push({ kind: kinds[change.kind], path: change.path, isNewer });
  }
  return { ...counts, examples };
}
