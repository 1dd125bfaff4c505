import { knownError } from '../lib/known-error.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { JobOptions, LoggedState } from '../activity/index.ts';
import { planRestore } from './restore-plan.ts';
import { applyRestoreHeld } from './restore.ts';
import { findContext, findSavedAs, type SnapshotAccess } from '../snapshots/index.ts';
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
export async function recoverStreamed(
  access: SnapshotAccess & LoggedState,
  options: JobOptions,
): Promise<RecoveredVolume[]> {
  const volumes: RecoveredVolume[] = [];
  for (const journal of await listStreamed(access.stateDir, noteOfDamaged(options))) {
    const { name } = journal;
    try {
      const work = async (now: StreamedJournal): Promise<void> => {
        volumes.push({ name, snapshotId: await putBack(access, now, options), error: undefined });
      };
      await whenLeft({ ...access, catalog: await access.catalog() }, { seen: journal, work }, options);
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
async function putBack(
  access: SnapshotAccess & LoggedState,
  journal: StreamedJournal,
  options: JobOptions,
): Promise<string> {
  const { name, safetyId, repositoryId, location, hostIdentity } = journal;
  const host = await (await access.host()).info({ signal: options.signal });
  if (host.identity !== hostIdentity)
    throw new AppError('unavailable', `${quote(name)} belongs to another engine than the one that answers`, {
      hint: 'Run the command again with the --host that the restore had.',
    });
  if (safetyId === undefined) throw new AppError('conflict', whatIsWrong(journal), { hint: again(journal) });
  const repository = await access.repository();
  if (repository.id !== repositoryId)
    throw new AppError('not-found', `What was in ${quote(name)} is in another repository`, {
      hint: `Run the command again with --repo ${location}.`,
    });
  const scope = { ...access, repository, catalog: await access.catalog() };
  const { snapshots } = await findContext(scope, options);
  const what = findSavedAs(safetyId, snapshots)?.id ?? safetyId;
  // Trusted as recorded: the journal, which is ours, names the snapshot.
  const request = { what, to: undefined, path: undefined, safetySnapshot: true, asRecorded: true };
  await applyRestoreHeld(scope, await planRestore(scope, request, options), options);
  return what;
}
