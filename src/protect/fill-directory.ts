import { mkdir } from 'node:fs/promises';
import { type ByteString, toPath, toPrintable, toText } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import type { SaveProblem } from '../model/snapshot.ts';
import type { RestoreResult } from '../repository/index.ts';
import { compareTrees } from './compare-trees.ts';
import { isEmptyData, liveEntries } from './live-tree.ts';
import type { JobOptions, Protection } from './protection.ts';
import type { RestorePlan } from './restore-plan.ts';
import { openStage } from './stage.ts';
import { copyOwnMetadata, exists } from './swap.ts';

export interface FillResult {
  readonly files: number;
  readonly bytes: number;
  readonly problems: readonly SaveProblem[];
}

export interface DirectoryWork {
  readonly plan: RestorePlan;
  readonly root: ByteString;
  /** The plan said that there is nothing in it. */
  readonly mustBeEmpty: boolean;
  /** Throws when a container has begun to use it. */
  readonly confirmFree: () => Promise<void>;
}

/** Makes a directory what the plan says: made ready beside it, verified, and swapped in. */
export async function fillDirectory(
  parts: Protection,
  work: DirectoryWork,
  options: JobOptions,
): Promise<FillResult> {
  const { plan, root } = work;
  const isThere = await exists(root);
  if (isThere) await refuseSurprise(work, options);
  await using stage = await openStage(parts.stateDir, root);
  const target = await targetIn(stage.newPath, { plan, model: isThere ? root : undefined });
  const result = await restoreVerified(parts, { plan, target }, options);
  await work.confirmFree();
  await stage.swap();
  return { files: result.files, bytes: result.bytes, problems: result.problems };
}

/** The whole snapshot becomes the new directory itself; a part of it goes into the new directory under its own name. */
async function targetIn(
  newPath: ByteString,
  { plan, model }: { plan: RestorePlan; model: ByteString | undefined },
): Promise<ByteString> {
  if (plan.path === '') return newPath;
  await mkdir(toPath(newPath), { mode: 0o755 });
  if (model !== undefined) await copyOwnMetadata(model, newPath);
  return `${newPath}/${nameOf(plan.path)}`;
}

/** The last part of a path. */
export function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Restores to a path that does not exist yet, and compares what is there afterwards with the snapshot. */
export async function restoreVerified(
  parts: Protection,
  { plan, target }: { readonly plan: RestorePlan; readonly target: ByteString },
  options: JobOptions,
): Promise<RestoreResult> {
  const repository = await parts.repository();
  const { snapshot, path } = plan;
  const result = await repository.restore({
    snapshot,
    path,
    target,
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
  if (mustBeEmpty && !(await isEmptyData({ way: 'direct', root }, options))) throw notEmpty(root);
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
