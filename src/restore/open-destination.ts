import { AppError, errnoOf, errorMessage } from '../model/errors.ts';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { JobOptions } from '../activity/index.ts';
import { isLedAway } from '../backup/index.ts';
import type { Host, HostAccess, StreamData } from '../hosts/host.ts';
import { applyMetadata } from '../lib/apply-metadata.ts';
import { mapOwner } from '../lib/map-owner.ts';
import { nameOf, parentOf } from '../lib/on-disk.ts';
import { openTrusted, realPathOf } from '../lib/open-trusted.ts';
import { removeDirectoryAt } from '../lib/posix-at.ts';
import { type ByteString, fromText, toPath, toText } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { quote } from '../model/quote.ts';
import type { Volume, VolumeSpec } from '../model/volume.ts';
import { findConsumers, isUp, refuseActive } from '../quiesce/index.ts';
import type { Destination, EntryDestination } from './choose-destination.ts';
import type { RestorePlan } from './restore-plan.ts';

/** A destination whose data can be reached. */
export interface OpenDestination {
  readonly plan: RestorePlan;
  readonly volume: Volume | undefined;
  /** The volume was created for this restore. */
  readonly created: boolean;
  readonly mustBeEmpty: boolean;
  /** The path on this machine; undefined where the engine is the only way. */
  readonly root: ByteString | undefined;
  readonly stream: StreamData | undefined;
}

interface Stacks {
  /** Closes what was opened, in any case. */
  readonly opened: AsyncDisposableStack;
  /** Removes what was made, when the restore fails. */
  readonly made: AsyncDisposableStack;
}

/** Opens the destination of a plan, and creates what is missing. */
export async function openDestination(
  access: HostAccess,
  { plan, ...stacks }: Stacks & { readonly plan: RestorePlan },
  options: JobOptions,
): Promise<OpenDestination> {
  const { destination } = plan;
  if (destination.kind === 'directory') {
    const { name, realPath } = destination;
    if (realPath !== undefined && (await isLedAway(name, realPath))) throw changedMeanwhile(name);
    return openDirectory({ plan, destination, ...stacks });
  }
  if (destination.kind === 'entry') return openFolderOf({ plan, destination, ...stacks });
  const host = await access.host();
  const created = destination.kind === 'new-volume';
  const volume = created
    ? await makeVolume(host, { spec: destination.spec, ...stacks }, options)
    : await host.findVolume(destination.name, { signal: options.signal });
  if (volume === undefined) throw changedMeanwhile(destination.name);
  const data = stacks.opened.use(await host.openData(volume.name, { signal: options.signal, write: true }));
  const root = data.way === 'direct' ? data.root : undefined;
  // What the engine has mounted for its containers goes away with them.
  if (root === undefined || root.startsWith('/proc/self/fd/')) await refuseUsed(access, volume, options);
  return {
    plan,
    volume,
    created,
    mustBeEmpty: created || destination.isEmpty,
    root,
    stream: data.way === 'stream' ? data : undefined,
  };
}

function openDirectory({
  plan,
  destination,
  made,
}: Stacks & {
  readonly plan: RestorePlan;
  readonly destination: Extract<Destination, { kind: 'directory' }>;
}): OpenDestination {
  const place = destination.realPath ?? destination.name;
  const root = fromText(place);
  makeFolders(path.dirname(place), made);
  // The whole comes by the swap; a part goes into the directory.
  if (plan.path !== '' && plan.keepsPlace) makeFolders(place, made);
  const { isEmpty } = destination;
  return { plan, volume: undefined, created: false, mustBeEmpty: isEmpty, root, stream: undefined };
}

/** Opens the folder that contains it, or creates it. Looks for the entry where links have led. */
function openFolderOf({
  plan,
  destination,
  made,
}: Stacks & { readonly plan: RestorePlan; readonly destination: EntryDestination }): OpenDestination {
  const root = parentOf(fromText(destination.name));
  const { isEmpty, folders = [] } = destination;
  const known = new Map(folders.map((folder) => [`/${folder.path}`, mapOwner(folder, plan.mapOwner)]));
  makeFolders(toText(root), made, known);
  using folder = openTrusted(root);
  const place = realPathOf(folder);
  return { plan, volume: undefined, created: false, mustBeEmpty: isEmpty, root: place, stream: undefined };
}

async function refuseUsed(access: HostAccess, volume: Volume, options: JobOptions): Promise<void> {
  const up = (await findConsumers(access, [{ kind: 'volume', name: volume.name }], options)).filter(isUp);
  if (up.length > 0) refuseActive(volume.name, volume.consumers);
}

async function makeVolume(
  host: Host,
  { spec, made }: Stacks & { readonly spec: VolumeSpec },
  options: JobOptions,
): Promise<Volume> {
  const name = spec.name ?? '';
  if ((await host.findVolume(name, { signal: options.signal })) !== undefined) throw changedMeanwhile(name);
  await makeDevice(host, { spec, made });
  const volume = await host.createVolume(spec, { signal: options.signal });
  made.defer(async () => {
    await host.removeVolume(volume.name).catch((error: unknown) => {
      const why = errorMessage(error);
      options.onNote?.(`The volume ${quote(name)}, which was made for this, is left behind: ${why}`);
    });
  });
  return volume;
}

/** Makes the folder that a volume is bound to: Docker itself never does, and then no container starts. */
async function makeDevice(
  host: Host,
  { spec, made }: { readonly spec: VolumeSpec; readonly made: AsyncDisposableStack },
): Promise<void> {
  const { device } = spec.options;
  const flags = (spec.options['o'] ?? '').split(',');
  if (spec.driver !== 'local' || device === undefined || !path.isAbsolute(device)) return;
  if (!flags.includes('bind') && !flags.includes('rbind')) return;
  if (!(await host.info()).endpoint.startsWith('unix:')) return;
  makeFolders(device, made);
}

/**
 * Makes each folder through a held descriptor of the one above: another user may own that one and put a link
 * in the new folder's place.
 */
function makeFolders(
  wanted: string,
  made: AsyncDisposableStack,
  known: ReadonlyMap<ByteString, Entry> = new Map(),
): void {
  const missing: ByteString[] = [];
  let folder = fromText(path.normalize(wanted));
  for (; !isThere(folder); folder = parentOf(folder)) missing.unshift(nameOf(folder));
  let above = openTrusted(folder);
  try {
    for (const name of missing) {
      using parent = above;
      mkdirSync(toPath(parent.at(name)), { mode: 0o755 });
      const place = folder;
      made.defer(() => removeEmpty(place, name));
      above = parent.openChild(name);
      folder = `${folder === '/' ? '' : folder}/${name}`;
      const entry = known.get(folder);
      // Metadata that cannot be set is no reason to fail.
      if (entry !== undefined) applyMetadata({ at: above.at('.') }, entry, () => undefined);
    }
  } finally {
    above[Symbol.dispose]();
  }
}

function removeEmpty(folder: ByteString, name: ByteString): void {
  try {
    using above = openTrusted(folder);
    removeDirectoryAt(above.fd, name);
  } catch {
    // The folder is in use, or already gone.
  }
}

function isThere(folder: ByteString): boolean {
  try {
    using _found = openTrusted(folder);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

export function changedMeanwhile(name: string): AppError {
  return new AppError('conflict', `${quote(name)} has changed since the plan was made`, {
    hint: 'Run the restore again.',
  });
}
