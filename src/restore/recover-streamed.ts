import { knownError } from '../lib/known-error.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import { planRestore } from './restore-plan.ts';
import { applyRestoreHeld } from './restore.ts';
import { findContext, openSources, findSavedAs } from '../snapshots/index.ts';
import { again, noteOfDamaged, whatIsWrong, whenLeft } from './settle-streamed.ts';
import { listStreamed, type StreamedJournal } from './streamed-journal.ts';

/** The outcome for a volume that was half restored. */
export interface RecoveredVolume {
  readonly name: string;
  /** The snapshot that is in it again. */
  readonly snapshotId: string | undefined;
  /** Why it is still not whole. */
  readonly error: string | undefined;
}

/** Puts the old data back into volumes that are half restored. Saves their current data first. */
export async function recoverStreamed(parts: Protection, options: JobOptions): Promise<RecoveredVolume[]> {
  const volumes: RecoveredVolume[] = [];
  for (const journal of await listStreamed(parts.stateDir, noteOfDamaged(options))) {
    const { name } = journal;
    try {
      const work = async (now: StreamedJournal): Promise<void> => {
        volumes.push({ name, snapshotId: await putBack(parts, now, options), error: undefined });
      };
      await whenLeft(parts, { seen: journal, work }, options);
    } catch (error) {
      if (options.signal?.aborted === true) throw error;
      const { message, hint } = knownError(error, `Cannot put back what was in ${quote(name)}`);
      volumes.push({
        name,
        snapshotId: undefined,
        error: hint === undefined ? message : `${message}. ${hint}`,
      });
    }
  }
  return volumes;
}

/** Returns the id of the snapshot that is in the volume again. */
async function putBack(parts: Protection, journal: StreamedJournal, options: JobOptions): Promise<string> {
  const { name, safetyId, repositoryId, location, hostIdentity } = journal;
  const host = await (await parts.host()).info({ signal: options.signal });
  if (host.identity !== hostIdentity)
    throw new AppError('unavailable', `${quote(name)} belongs to another engine than the one that answers`, {
      hint: 'Run the command again with the --host that the restore had.',
    });
  if (safetyId === undefined) throw new AppError('conflict', whatIsWrong(journal), { hint: again(journal) });
  const repository = await parts.repository();
  if (repository.id !== repositoryId)
    throw new AppError('not-found', `What was in ${quote(name)} is in another repository`, {
      hint: `Run the command again with --repo ${location}.`,
    });
  const { snapshots } = await findContext(await openSources(parts), options);
  const what = findSavedAs(safetyId, snapshots)?.id ?? safetyId;
  // Trusted as recorded: the journal, which is ours, names the snapshot.
  const request = { what, to: undefined, path: undefined, safetySnapshot: true, asRecorded: true };
  await applyRestoreHeld(parts, await planRestore(parts, request, options), options);
  return what;
}
