import { lstatSync } from 'node:fs';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Volume } from '../model/volume.ts';
import { chooseSettings, describeVolume, saveTogether } from '../backup/index.ts';
import { safetyTag } from '../snapshots/index.ts';
import type { JobOptions } from '../activity/index.ts';
import type { HostAccess } from '../hosts/host.ts';
import type { BackupTarget } from '../volumes/index.ts';
import type { Destination } from './choose-destination.ts';
import type { RestorePlan, RestoreScope } from './restore-plan.ts';

/** The safety snapshot, if one was taken. */
export interface Saved {
  readonly snapshot: Snapshot;
  /** For a single file: its state right before the save. */
  readonly fileState: string | undefined;
}

interface ToSave {
  readonly plan: RestorePlan;
  readonly volume: Volume | undefined;
}

/** Saves what a restore is about to replace, where its plan says so. */
export async function saveFirst(
  scope: RestoreScope,
  { plan: { safetySnapshot, destination }, volume }: ToSave,
  options: JobOptions,
): Promise<Saved | undefined> {
  if (!safetySnapshot) return undefined;
  const fileState = fileStateOf(destination);
  const target = volume === undefined ? asPath(destination) : await asTarget(scope, volume, options);
  return { snapshot: await saveSafety(scope, target, options), fileState };
}

/**
 * A replaced directory is kept beside with everything written to it; a single file is not. If the file
 * changed after it was saved, as when an application writes it on exit, it is saved again now that nothing
 * runs on it. Throws `conflict` when it keeps changing.
 */
export async function saveAgain(
  scope: RestoreScope,
  { saved, ...place }: ToSave & { readonly saved: Saved | undefined },
  options: JobOptions,
): Promise<Saved | undefined> {
  const { destination } = place.plan;
  const now = fileStateOf(destination);
  if (saved?.fileState === undefined || now === undefined || now === saved.fileState) return saved;
  const again = await saveFirst(scope, place, options);
  if (fileStateOf(destination) === again?.fileState) return again;
  throw new AppError('conflict', `${quote(destination.name)} was changed while it was restored`, {
    hint: 'Find out what does that, and restore again.',
  });
}

/** Undefined for anything but a single file, and for one that is gone. */
function fileStateOf({ kind, name }: Destination): string | undefined {
  if (kind !== 'entry') return undefined;
  const stat = lstatSync(name, { bigint: true, throwIfNoEntry: false });
  return stat?.isFile() === true
    ? [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ')
    : undefined;
}

function asPath(destination: Destination): BackupTarget {
  const isFile = destination.kind === 'entry' && destination.isFile;
  return { kind: 'path', name: destination.name, isFile };
}

/** Saves what a restore is about to replace, under its lease. Data that could not be saved whole is not replaced. */
export async function saveSafety(
  scope: RestoreScope,
  target: BackupTarget,
  options: JobOptions,
): Promise<Snapshot> {
  const volume = await describeVolume(scope, target, options);
  const held = [{ target, volume, settings: chooseSettings({}, []) }];
  const toSave = { held, missing: [], marks: [safetyTag], dryRun: false, notifier: undefined };
  const [outcome] = await saveTogether(scope, toSave, options);
  if (outcome === undefined) throw new AppError('failed', `Nothing of ${quote(target.name)} was saved`);
  const { snapshot, problems, error } = outcome;
  if (error !== undefined) throw error;
  if (snapshot !== undefined && problems.length === 0) return snapshot;
  throw new AppError('partial', `Cannot save what is in ${quote(target.name)} now, so it is not replaced`, {
    detail: problems
      .slice(0, 5)
      .map((problem) => problem.message)
      .join('\n'),
    hint: 'Put this right, or go without: --no-safety-snapshot.',
  });
}

export async function asTarget(
  access: HostAccess,
  volume: Volume,
  options: JobOptions,
): Promise<BackupTarget> {
  const host = await (await access.host()).info({ signal: options.signal });
  return { kind: 'volume', name: volume.name, volume, host };
}
