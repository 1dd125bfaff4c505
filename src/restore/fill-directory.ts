import { mkdirSync } from 'node:fs';
import { applyMetadata } from '../lib/apply-metadata.ts';
import type { DirectoryHandle } from '../lib/directory-handle.ts';
import { mapOwner } from '../lib/map-owner.ts';
import { OpenDirectories } from '../lib/open-directories.ts';
import { type ByteString, fromText, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { SaveProblem } from '../model/snapshot.ts';
import type { Repository, RestoreResult } from '../repository/index.ts';
import { type Change, compareTrees } from '../snapshots/index.ts';
import { isEmptyData, liveEntries } from '../quiesce/index.ts';
import type { JobOptions } from '../activity/index.ts';
import type { RestorePlan } from './restore-plan.ts';
import { exists, nameOf } from '../lib/on-disk.ts';
import type { ReplacedPlace } from './replacement.ts';
import { copyOwnMetadata } from './swap-inside.ts';
import { openFolders } from './swap-part.ts';

export interface FillResult {
  readonly files: number;
  readonly bytes: number;
  /** Bytes taken from the data that was there. */
  readonly bytesTaken?: number | undefined;
  readonly problems: readonly SaveProblem[];
}

export interface DirectoryWork {
  readonly plan: RestorePlan;
  readonly root: ByteString;
  /** The plan said that it is empty. */
  readonly mustBeEmpty: boolean;
}

/**
 * The entry below the root that is replaced on its own: the requested one, or the first missing folder on the
 * way to it. Undefined when the root itself is replaced.
 */
export function partOf({ plan, root }: DirectoryWork): ByteString | undefined {
  if (plan.destination.kind === 'entry') return nameOf(fromText(plan.destination.name));
  if (plan.path === '' || !plan.keepsPlace) return undefined;
  const names = plan.path.split('/');
  const { folder, missing } = openFolders(root, names.slice(0, -1));
  folder[Symbol.dispose]();
  return names.slice(0, names.length - Math.max(missing.length, 0)).join('/');
}

export interface StageWork {
  readonly plan: RestorePlan;
  /** The current data, and the folder in which `new` is made; `new` does not exist yet. */
  readonly place: Pick<ReplacedPlace, 'stage' | 'live'>;
  readonly part: ByteString | undefined;
}

/** Makes the new data, and compares it with the snapshot. */
export async function fillStage(
  repository: Repository,
  work: StageWork,
  options: JobOptions,
): Promise<FillResult> {
  const { plan, place, part } = work;
  const { stage, live } = place;
  if (plan.destination.kind === 'entry')
    return await restoreVerified(repository, { plan, target: { folder: stage, name: 'new' } }, options);
  if (part !== undefined) return await fillPart(repository, { ...work, part }, options);
  if (plan.path === '')
    return await restoreVerified(
      repository,
      { plan, target: { folder: stage, name: 'new' }, like: live },
      options,
    );
  mkdirSync(toPath(stage.at('new')), { mode: 0o755 });
  using folder = stage.openChild('new');
  const result = await restoreVerified(
    repository,
    { plan, target: { folder, name: nameOf(plan.path) } },
    options,
  );
  if (live !== undefined) copyOwnMetadata(live, folder);
  return result;
}

/** With the missing folders above it, as the snapshot has them. */
async function fillPart(
  repository: Repository,
  { plan, place, part }: StageWork & { readonly part: ByteString },
  options: JobOptions,
): Promise<FillResult> {
  const below = plan.path.slice(part.length).split('/').slice(1);
  const names = ['new', ...below];
  const folders = below.map((_, index) => names.slice(0, index + 1).join('/'));
  using places = new OpenDirectories(place.stage.self, { isStaged: true, keepsRoot: true });
  const last = folders.at(-1);
  for (const folder of folders) places.enter(folder, { create: true });
  const { handle } = places.enter(last ?? '', { create: false });
  using folder = handle.openChild('.');
  const target = { folder, name: names.at(-1) ?? 'new' };
  const result = await restoreVerified(repository, { plan, target }, options);
  const problems = [...result.problems];
  for (const [index, path] of [...folders.entries()].toReversed()) {
    const of = [part, ...below.slice(0, index)].join('/');
    const walk = repository.walk(plan.snapshot, of, { depth: 0, signal: options.signal });
    for await (const entry of walk) {
      const { handle: made } = places.enter(path, { create: false });
      applyMetadata({ at: made.at('.') }, mapOwner(entry, plan.mapOwner), ({ message }) =>
        problems.push({ path: of, reason: 'unreadable', message }),
      );
      break;
    }
  }
  return { ...result, problems };
}

interface Fill {
  readonly plan: RestorePlan;
  /** A name that does not exist yet. */
  readonly target: { readonly folder: DirectoryHandle; readonly name: ByteString };
  readonly like?: DirectoryHandle | undefined;
}

/** Restores to a name that does not exist yet, then compares the result with the snapshot. */
async function restoreVerified(
  repository: Repository,
  { plan, target: { folder, name }, like }: Fill,
  options: JobOptions,
): Promise<RestoreResult> {
  const { snapshot, path, inConfig } = plan;
  const result = await repository.restore({
    snapshot,
    path,
    inConfig,
    target: folder.at(name),
    shownAs: plan.destination.name,
    mapOwner: plan.mapOwner,
    like: like?.self,
    signal: options.signal,
    onProgress: options.onProgress,
  });
  if (plan.entry.type !== 'dir') return result;
  using made = folder.openChild(name);
  const trees = {
    before: repository.walk(snapshot, path, { signal: options.signal }),
    after: liveEntries({ way: 'direct', root: made.self }, options),
  };
  const rules = { isSameContent: (): boolean => true, comparesXattrs: false };
  const excused = new Set(result.problems.map((problem) => problem.path));
  const clamped = { count: 0, example: '' };
  for await (const change of compareTrees(trees, rules)) {
    if (isClamped(change) && clamped.count++ === 0) clamped.example = change.path;
    if (change.kind === 'metadata' || excused.has(toPrintable(change.path)) || excused.has(change.path))
      continue;
    throw new AppError(
      'integrity',
      `What was restored is not what the snapshot has, at "${toPrintable(change.path)}"`,
      {
        detail: 'Nothing was replaced.',
        hint: 'Look for faults of the disk, and run "holdfast check --read-data".',
      },
    );
  }
  noteClamped(clamped, options);
  return result;
}

/** A file system whose range ends before a time silently stores the nearest that it can. */
function isClamped({ kind, mtimeNsBefore, mtimeNsAfter }: Change): boolean {
  if (kind !== 'metadata' || mtimeNsBefore === undefined) return false;
  const difference = mtimeNsBefore - mtimeNsAfter;
  return difference > clampedNs || difference < -clampedNs;
}

/** A smaller difference may come from a file system with coarser timestamps. */
const clampedNs = 3_600_000_000_000n;

function noteClamped(
  { count, example }: { readonly count: number; readonly example: ByteString },
  options: JobOptions,
): void {
  if (count === 0) return;
  const times = count === 1 ? 'One time is' : `${count} times are`;
  options.onNote?.(
    `${times} beyond the years that the file system has room for, and became the nearest that it has: that of ${quote(toPrintable(example))}${count === 1 ? '' : ' is one of them'}.`,
  );
}

/** Refuses storage that should be empty and is not: a recreated volume may stand on a device with data. */
export async function refuseSurprise(
  { plan, root, mustBeEmpty }: DirectoryWork,
  options: JobOptions,
): Promise<void> {
  if (!mustBeEmpty) return;
  const part = plan.destination.kind === 'entry' ? `/${nameOf(fromText(plan.destination.name))}` : '';
  const place = `${root}${part}`;
  if (!(await exists(place))) return;
  if (part !== '' || !(await isEmptyData({ way: 'direct', root }, options))) throw notEmpty(place, plan);
}

function notEmpty(root: ByteString, { destination }: RestorePlan): AppError {
  return new AppError(
    'conflict',
    `"${toPrintable(root)}" holds data that was not there when the plan was made`,
    {
      hint:
        destination.kind === 'new-volume'
          ? // The same restore would meet the same data again.
            'Its storage was in use before. Look at it. To have it replaced, make the volume with "holdfast volume create" and restore into it: that saves what is there first.'
          : 'Look at it, then restore again.',
    },
  );
}
