import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Volume } from '../model/volume.ts';
import { saveBeforeRestore } from './backup.ts';
import type { JobOptions, Protection } from './protection.ts';
import type { BackupTarget } from './targets.ts';

/** Data that could not be saved whole is not replaced. */
export async function saveSafety(
  parts: Protection,
  target: BackupTarget,
  options: JobOptions,
): Promise<Snapshot> {
  const { snapshot, problems } = await saveBeforeRestore(parts, target, options);
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
  parts: Protection,
  volume: Volume,
  options: JobOptions,
): Promise<BackupTarget> {
  const host = await (await parts.host()).info({ signal: options.signal });
  return { kind: 'volume', name: volume.name, volume, host };
}
