import { knownError } from '../lib/known-error.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { volumeIdentity } from './identity.ts';
import { takeLease } from './lease.ts';
import type { JobOptions, Protection } from './protection.ts';
import {
  endStreamed,
  findStreamed,
  listStreamed,
  pathOf,
  type StreamedJournal,
  type StreamedPlace,
} from './streamed-journal.ts';

/**
 * Says which volumes a restore through their engine has left half restored. To put that right takes a repository and its
 * time, and replaces what is there: that is done when it is asked for, by `recoverStreamed`.
 */
export async function tellOfStreamed(
  parts: Protection,
  options: JobOptions & { readonly ofHost?: string | undefined },
): Promise<void> {
  const note = (error: unknown): void =>
    options.onNote?.(error instanceof Error ? `${error.message}.` : String(error));
  for (const journal of await listStreamed(parts.stateDir, note)) {
    if (options.ofHost !== undefined && journal.hostIdentity !== options.ofHost) continue;
    await whenLeft(parts, journal, async () => {
      if (await isGone(parts, journal)) await endStreamed(parts.stateDir, journal);
      else options.onNote?.(`${whatIsWrong(journal)}. ${whatToDo(parts, journal)}`);
    });
  }
}

/** What is half restored must not become the newest good snapshot. */
export async function refuseHalfRestored(parts: Protection, place: StreamedPlace): Promise<void> {
  const journal = await findStreamed(parts.stateDir, place);
  if (journal === undefined) return;
  throw new AppError(
    'conflict',
    `Cannot back up ${quote(place.name)}: a restore of it was interrupted, and what is in it is not whole`,
    { hint: whatToDo(parts, journal) },
  );
}

/** What became of a volume that was half restored. */
export interface RecoveredVolume {
  readonly name: string;
  /** What is in it again. */
  readonly snapshotId: string | undefined;
  /** Why it is still not whole. */
  readonly error: string | undefined;
}

/** Puts what was in them before back into volumes that are half restored. What is there now is saved first. */
export async function recoverStreamed(parts: Protection, options: JobOptions): Promise<RecoveredVolume[]> {
  const volumes: RecoveredVolume[] = [];
  const damaged = (error: unknown): void =>
    options.onNote?.(error instanceof Error ? `${error.message}.` : String(error));
  for (const journal of await listStreamed(parts.stateDir, damaged)) {
    const { name } = journal;
    try {
      await whenLeft(parts, journal, async (now) => {
        await putBack(parts, now, options);
        volumes.push({ name, snapshotId: now.safetyId, error: undefined });
      });
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

async function putBack(parts: Protection, journal: StreamedJournal, options: JobOptions): Promise<void> {
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
  const { planRestore } = await import('./restore-plan.ts');
  const { applyRestoreHeld } = await import('./restore.ts');
  const request = { what: safetyId, to: undefined, path: undefined, safetySnapshot: true };
  await applyRestoreHeld(parts, await planRestore(parts, request, options), options);
}

/** Only when nobody is at it, and not when somebody has brought it to its end until then. */
async function whenLeft(
  parts: Protection,
  seen: StreamedJournal,
  work: (now: StreamedJournal) => Promise<void>,
): Promise<void> {
  const { stateDir } = parts;
  const identity = volumeIdentity(await parts.catalog(), seen);
  let lease: AsyncDisposable;
  try {
    lease = await takeLease({ stateDir, identity, name: seen.name, action: 'restore' });
  } catch (error) {
    if (isAppError(error, 'locked')) return;
    throw error;
  }
  await using _lease = lease;
  const now = await findStreamed(stateDir, seen);
  if (now !== undefined) await work(now);
}

/** Nothing was in it before, and somebody has removed what was made of it. */
async function isGone(
  parts: Protection,
  { name, safetyId, hostIdentity }: StreamedJournal,
): Promise<boolean> {
  if (safetyId !== undefined) return false;
  const host = await parts.host();
  return (await host.info()).identity === hostIdentity && (await host.findVolume(name)) === undefined;
}

function whatIsWrong({ name }: StreamedJournal): string {
  return `A restore of ${quote(name)} was interrupted, and what is in it is not whole`;
}

function whatToDo({ stateDir }: Protection, journal: StreamedJournal): string {
  if (journal.safetyId === undefined) return again(journal);
  const safety = journal.safetyId.slice(0, 8);
  return `What was in it before is safe in snapshot "${safety}": "holdfast recover" puts it back. If what is in it now is to stay, remove "${pathOf(stateDir, journal)}".`;
}

function again({ name, snapshotId }: StreamedJournal): string {
  return `Nothing was in it before: remove it with "holdfast volume rm ${name}", and restore snapshot "${snapshotId.slice(0, 8)}" again.`;
}
