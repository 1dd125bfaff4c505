import path from 'node:path';
import type { JobOptions } from '../activity/index.ts';
import type { VolumeAccess } from '../leases/index.ts';
import type { HostScope } from '../hosts/host.ts';
import { namesInSync } from '../lib/folder-names.ts';
import type { HookMeans } from '../quiesce/index.ts';
import { recoverAppsAtStart, type RecoverReport } from './recover.ts';
import { settleAll, type SettleOptions } from './settle.ts';

/** The report where nothing was left. */
export const nothingRecovered: RecoverReport = { jobs: [], hooks: [], elsewhere: 0 };

/** True where killed work may have left something. Asks no engine, and opens nothing. */
export function isAnythingLeft(stateDir: string): boolean {
  return isAnythingIn(stateDir, [
    ...['journal', 'undo', 'trials', 'journal-bench', 'journal-apps', 'journal-hooks'],
  ]);
}

export interface HostRecovery extends Pick<SettleOptions, 'onNote' | 'managed'> {
  /** Removes what drills have left. */
  readonly removeTrials: (scope: HostScope, options: JobOptions) => Promise<unknown>;
  /** Removes what benchmarks have left. */
  readonly removeBenchmarks: (scope: VolumeAccess, options: JobOptions) => Promise<unknown>;
}

/**
 * Recovers a host from killed work: first settles restores, so that nothing reads or starts on half restored
 * data; then removes what drills and benchmarks have left; then brings back containers that were left stopped or paused, and runs
 * their hooks. What cannot be done now is reported, and tried again by the next recovery. Throws only where
 * the state folder cannot be read or written.
 */
export async function recoverHost(
  access: VolumeAccess & HookMeans,
  { managed, removeTrials, removeBenchmarks, onNote }: HostRecovery,
): Promise<RecoverReport> {
  const { stateDir } = access;
  if (isAnythingIn(stateDir, ['journal', 'undo'])) await settleAll(access, { managed, onNote });
  if (isAnythingIn(stateDir, ['trials'])) await removeTrials(access, { onNote });
  if (isAnythingIn(stateDir, ['journal-bench'])) await removeBenchmarks(access, { onNote });
  if (!isAnythingIn(stateDir, ['journal-apps', 'journal-hooks'])) return nothingRecovered;
  return await recoverAppsAtStart(access, { onNote });
}

/**
 * The same for managed volumes, which may not be the host's: an engine asked for its containers may be
 * waiting for these volumes.
 */
export async function recoverOwnVolumes(
  access: VolumeAccess,
  { managed, onNote }: Pick<SettleOptions, 'onNote' | 'managed'>,
): Promise<void> {
  if (!isAnythingIn(access.stateDir, ['journal', 'undo'])) return;
  const { identity: ofHost } = await (await access.host()).info();
  await settleAll(access, { managed, onNote, ofHost });
}

function isAnythingIn(stateDir: string, folders: readonly string[]): boolean {
  return folders.some((folder) => namesInSync(path.join(stateDir, folder)).length > 0);
}
