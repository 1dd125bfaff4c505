import { knownError } from '../lib/known-error.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { HostAccess, HostScope } from '../hosts/host.ts';
import {
  takeLeases,
  type VolumeAccess,
  volumeIdentity,
  type VolumeScope,
  type Work,
} from '../leases/index.ts';
import type { JobOptions } from '../activity/index.ts';
import {
  endStreamed,
  findStreamed,
  listStreamed,
  pathOf,
  savedIn,
  type StreamedJournal,
  type StreamedPlace,
} from './streamed-journal.ts';

/**
 * Reports which volumes a restore through their engine has left half restored. Recovering them takes a
 * repository and time, and replaces the current data, so `recoverStreamed` does it only on request.
 */
export async function tellOfStreamed(
  access: VolumeAccess,
  options: JobOptions & { readonly ofHost?: string | undefined },
): Promise<void> {
  for (const journal of await listStreamed(access.stateDir, noteOfDamaged(options))) {
    if (options.ofHost !== undefined && journal.hostIdentity !== options.ofHost) continue;
    const work = async (now: StreamedJournal): Promise<void> => {
      if (await isGone(access, now)) await endStreamed(access.stateDir, now);
      else options.onNote?.(`${whatIsWrong(now)}. ${whatToDo(access.stateDir, now)}`);
    };
    await whenLeft({ ...access, catalog: await access.catalog() }, { seen: journal, work }, options);
  }
}

/** Reports a journal that cannot be read, and what to do about it. */
export function noteOfDamaged({ onNote }: JobOptions): (error: unknown) => void {
  return (error) => {
    const { message, hint } = knownError(error);
    onNote?.(hint === undefined ? `${message}.` : `${message}. ${hint}`);
  };
}

/**
 * Called with the lease held on a volume that was made for a failed restore: where the volume is gone,
 * nothing is half restored.
 */
export async function endWhereGone(at: HostScope, place: StreamedPlace): Promise<void> {
  const journal = await findStreamed(at.stateDir, place);
  if (journal !== undefined && (await isGone(at, journal))) await endStreamed(at.stateDir, journal);
}

/** Half restored data must not become the newest good snapshot, nor a copy that is taken for whole. */
export async function refuseHalfStreamed(stateDir: string, place: StreamedPlace, work: Work): Promise<void> {
  const journal = await findStreamed(stateDir, place);
  if (journal === undefined) return;
  throw new AppError(
    'conflict',
    `Cannot ${work} ${quote(place.name)}: a restore of it was interrupted, and what is in it is not whole`,
    { hint: whatToDo(stateDir, journal) },
  );
}

interface StreamedWork {
  readonly seen: StreamedJournal;
  readonly work: (now: StreamedJournal) => Promise<void>;
}

/** Runs the work only if no process holds the volume and the journal is still there. */
export async function whenLeft(
  scope: VolumeScope,
  { seen, work }: StreamedWork,
  options: JobOptions,
): Promise<void> {
  const { name, hostIdentity } = seen;
  const identity = volumeIdentity(scope.catalog, seen);
  let lease: AsyncDisposable;
  try {
    const places = [{ kind: 'volume' as const, name, hostIdentity, identity, isRemovedThere: true }];
    lease = await takeLeases(scope, { places, work: 'restore' }, options);
  } catch (error) {
    if (isAppError(error, 'locked')) return;
    throw error;
  }
  await using _lease = lease;
  const now = await findStreamed(scope.stateDir, seen);
  if (now !== undefined) await work(now);
}

/** The volume was empty before, and what was made of it has been removed. */
async function isGone(access: HostAccess, journal: StreamedJournal): Promise<boolean> {
  const { name, hostIdentity } = journal;
  if (savedIn(journal).length > 0) return false;
  const host = await access.host();
  return (await host.info()).identity === hostIdentity && (await host.findVolume(name)) === undefined;
}

export function whatIsWrong({ name }: StreamedJournal): string {
  return `A restore of ${quote(name)} was interrupted, and what is in it is not whole`;
}

function whatToDo(stateDir: string, journal: StreamedJournal): string {
  const { safetyId } = journal;
  if (safetyId === undefined && savedIn(journal).length === 0) return again(journal);
  const back =
    safetyId === undefined
      ? again(journal)
      : `What was in it before is safe in snapshot "${safetyId.slice(0, 8)}": "holdfast recover" puts it back.`;
  return `${back} If all is to stay as it is now, remove "${pathOf(stateDir, journal)}".`;
}

export function again({ name, snapshotId, replacedIds = [] }: StreamedJournal): string {
  const anew = `remove it with "holdfast volume rm ${name}", and restore snapshot "${snapshotId.slice(0, 8)}" again.`;
  const replaced = replacedIds.at(-1)?.slice(0, 8);
  if (replaced === undefined) return `Nothing was in it before: ${anew}`;
  return `Nothing was in it before the first restore: ${anew} What was in it when it was restored once more is safe in snapshot "${replaced}": "holdfast restore ${name}@${replaced}" puts that back.`;
}
