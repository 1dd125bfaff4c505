import { mkdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { mapOwner } from '../lib/map-owner.ts';
import { applyMetadata } from '../lib/apply-metadata.ts';
import { type ByteString, toPath, toPrintable, toText } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import type { SaveProblem } from '../model/snapshot.ts';
import type { RestoreResult } from '../repository/index.ts';
import { compareTrees } from './compare-trees.ts';
import { isEmptyData, liveEntries } from './live-tree.ts';
import type { JobOptions, Protection } from './protection.ts';
import type { RestorePlan } from './restore-plan.ts';
import { exists } from './on-disk.ts';
import { copyOwnMetadata } from './swap-inside.ts';
import { openFolders } from './swap-part.ts';

export interface FillResult {
  readonly files: number;
  readonly bytes: number;
  /** So much of it was taken from the data that was there. */
  readonly bytesTaken?: number | undefined;
  readonly problems: readonly SaveProblem[];
}

export interface DirectoryWork {
  readonly plan: RestorePlan;
  readonly root: ByteString;
  /** The plan said that there is nothing in it. */
  readonly mustBeEmpty: boolean;
}

/**
 * The thing below the root that is replaced alone: what is asked for, or the first folder on the way to it that is not
 * there. Undefined when the root itself is replaced.
 */
export function partOf({ plan, root }: DirectoryWork): ByteString | undefined {
  if (plan.path === '' || !plan.keepsPlace) return undefined;
  const names = plan.path.split('/');
  const { folder, missing } = openFolders(root, names.slice(0, -1));
  folder[Symbol.dispose]();
  return names.slice(0, names.length - Math.max(missing.length, 0)).join('/');
}

export interface StageWork extends DirectoryWork {
  /** Where it is made ready; does not exist yet. */
  readonly newPath: ByteString;
  readonly part: ByteString | undefined;
}

/** Makes ready what is to come, and compares it with the snapshot. */
export async function fillStage(
  parts: Protection,
  work: StageWork,
  options: JobOptions,
): Promise<FillResult> {
  const { plan, root, newPath, part } = work;
  if (part !== undefined) return await fillPart(parts, { ...work, part }, options);
  if (plan.path === '') {
    const like = (await exists(root)) ? root : undefined;
    return await restoreVerified(parts, { plan, target: newPath, like }, options);
  }
  await mkdir(toPath(newPath), { mode: 0o755 });
  const target = `${newPath}/${nameOf(plan.path)}`;
  const result = await restoreVerified(parts, { plan, target }, options);
  if (await exists(root)) await copyOwnMetadata(root, newPath);
  return result;
}

/** With the folders on the way to it that are missing, as the snapshot has them. */
async function fillPart(
  parts: Protection,
  { plan, newPath, part }: StageWork & { readonly part: ByteString },
  options: JobOptions,
): Promise<FillResult> {
  const below = plan.path.slice(part.length).split('/').slice(1);
  const folders = below.map((_, index) => [newPath, ...below.slice(0, index)].join('/'));
  for (const folder of folders) mkdirSync(toPath(folder), { mode: 0o700 });
  const target = [newPath, ...below].join('/');
  const result = await restoreVerified(parts, { plan, target }, options);
  const problems = [...result.problems];
  const repository = await parts.repository();
  for (const [index, folder] of [...folders.entries()].toReversed()) {
    const path = [part, ...below.slice(0, index)].join('/');
    const walk = repository.walk(plan.snapshot, path, { depth: 0, signal: options.signal });
    for await (const entry of walk) {
      applyMetadata({ at: `${folder}/.` }, mapOwner(entry, plan.mapOwner), ({ message }) =>
        problems.push({ path, reason: 'unreadable', message }),
      );
      break;
    }
  }
  return { ...result, problems };
}

/** The last part of a path. */
export function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Restores to a path that does not exist yet, and compares what is there afterwards with the snapshot. */
async function restoreVerified(
  parts: Protection,
  {
    plan,
    target,
    like,
  }: { readonly plan: RestorePlan; readonly target: ByteString; readonly like?: ByteString | undefined },
  options: JobOptions,
): Promise<RestoreResult> {
  const repository = await parts.repository();
  const { snapshot, path } = plan;
  const result = await repository.restore({
    snapshot,
    path,
    target,
    mapOwner: plan.mapOwner,
    like,
    signal: options.signal,
    onProgress: withoutPlace(options.onProgress, target),
  });
  if (plan.entry.type !== 'dir') return result;
  const trees = {
    before: repository.walk(snapshot, path, { signal: options.signal }),
    after: liveEntries({ way: 'direct', root: target }, options),
  };
  const rules = { isSameContent: (): boolean => true, comparesXattrs: false };
  const excused = new Set(result.problems.map((problem) => problem.path));
  for await (const change of compareTrees(trees, rules)) {
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
  return result;
}

/** What is at work now is shown as it is named in the snapshot, not where it is made ready. */
function withoutPlace(onProgress: JobOptions['onProgress'], target: ByteString): JobOptions['onProgress'] {
  const place = `${toText(target)}/`;
  return (
    onProgress &&
    ((progress) => {
      const current = progress.current?.startsWith(place)
        ? progress.current.slice(place.length)
        : progress.current;
      onProgress({ ...progress, current });
    })
  );
}

/** Storage that was to be empty, and is not: a volume that was made again may stand on a device with data. */
export async function refuseSurprise(
  { root, mustBeEmpty }: DirectoryWork,
  options: JobOptions,
): Promise<void> {
  if (mustBeEmpty && (await exists(root)) && !(await isEmptyData({ way: 'direct', root }, options)))
    throw notEmpty(root);
}

function notEmpty(root: ByteString): AppError {
  return new AppError(
    'conflict',
    `"${toPrintable(root)}" holds data that was not there when the plan was made`,
    {
      hint: 'Its storage may have been in use before. Look at it, then restore again.',
    },
  );
}
