import type { JobOptions, Protection } from '../activity/index.ts';
import type { RestorePlan } from './restore-plan.ts';
import { endWhereGone } from './settle-streamed.ts';
import { beginStreamed, endStreamed, findStreamed, type StreamedPlace } from './streamed-journal.ts';

export interface StreamedWork {
  readonly plan: RestorePlan;
  /** What is in the volume; undefined when there is nothing. */
  readonly safetyId: string | undefined;
}

/**
 * Writes down, before anything is removed or written, that the volume of a plan is about to be neither old nor new. True
 * when it was half restored already: then what is in it now is not what an undo of this restore should end with.
 */
export async function beginStreamedOf(
  parts: Protection,
  { plan, safetyId }: StreamedWork,
): Promise<{ readonly wasHalf: boolean }> {
  const repository = await parts.repository();
  const place = await placeOf(parts, plan);
  const earlier = await findStreamed(parts.stateDir, place);
  await beginStreamed(parts.stateDir, {
    ...place,
    repositoryId: repository.id,
    location: repository.location,
    snapshotId: plan.snapshot.id,
    safetyId,
    since: new Date(parts.now()).toISOString(),
  });
  return { wasHalf: earlier !== undefined };
}

/** The data is restored: when this cannot be written down, it is said, and no more. */
export async function noteWhole(
  parts: Protection,
  plans: readonly RestorePlan[],
  options: JobOptions,
): Promise<void> {
  try {
    for (const plan of plans) await endStreamedOf(parts, plan);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    options.onNote?.(`The data is restored; that it is whole again is not noted: ${why}`);
  }
}

/** After a failure: a volume that was made for it, and is gone with it, is not half restored. */
export async function noteGone(parts: Protection, plans: readonly RestorePlan[]): Promise<void> {
  for (const plan of plans) {
    if (plan.destination.kind !== 'new-volume') continue;
    try {
      await endWhereGone(parts, await placeOf(parts, plan));
    } catch {
      // Why the restore failed matters more, and the next start looks again.
    }
  }
}

/** The whole of a volume is as it should be: what an earlier restore has left of it is gone with that. */
export async function endStreamedOf(parts: Protection, plan: RestorePlan): Promise<void> {
  if (plan.destination.kind === 'directory' || plan.path !== '') return;
  await endStreamed(parts.stateDir, await placeOf(parts, plan));
}

async function placeOf(parts: Protection, { destination }: RestorePlan): Promise<StreamedPlace> {
  const { identity } = await (await parts.host()).info();
  return { hostIdentity: identity, name: destination.name };
}
