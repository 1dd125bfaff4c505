import { AppError, errorMessage } from '../model/errors.ts';
import type { JobOptions } from '../activity/index.ts';
import type { HostAccess, HostScope } from '../hosts/host.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Volume } from '../model/volume.ts';
import { refuseActive } from '../quiesce/index.ts';
import type { FillResult } from './fill-directory.ts';
import { fillStream, readThrough, hintOfRoot } from './fill-stream.ts';
import type { RestorePlan, RestoreScope } from './restore-plan.ts';
import { asTarget, saveSafety } from './save-safety.ts';
import { endWhereGone } from './settle-streamed.ts';
import { beginStreamed, endStreamed, findStreamed, type StreamedPlace } from './streamed-journal.ts';

export interface Replaced {
  readonly filled: FillResult;
  readonly safetySnapshot: Snapshot;
}

interface VolumeWork {
  readonly plan: RestorePlan;
  readonly volume: Volume;
}

/**
 * A stream cannot delete, so the volume is removed and recreated: only after the snapshot was read to its end,
 * the old data is safe, and a journal records that the volume is not whole until this is done.
 */
export async function replaceStreamed(
  scope: RestoreScope,
  { plan, volume }: VolumeWork,
  options: JobOptions,
): Promise<Replaced> {
  refuseActive(volume.name, volume.consumers);
  const host = await scope.host();
  if (volume.consumers.length > 0) {
    throw new AppError(
      'unsupported',
      `Cannot replace the data of ${quote(volume.name)}: it is reached through the engine only, and containers refer to it`,
      {
        detail: 'To replace its data there, the volume has to be removed and made again.',
        hint: hintOfRoot(`Remove those containers first, or restore beside it: --to ${volume.name}-restored`),
      },
    );
  }
  await readThrough(scope.repository, plan, options);
  const safetySnapshot = await saveSafety(scope, await asTarget(scope, volume, options), options);
  const again = async (): Promise<Volume> => {
    // It may be gone already, when the engine failed between the two.
    if ((await host.findVolume(volume.name)) !== undefined) await host.removeVolume(volume.name);
    return await host.createVolume({
      name: volume.name,
      driver: volume.driver,
      options: volume.options,
      labels: volume.labels,
    });
  };
  const { wasHalf } = await beginStreamedOf(scope, { plan, safetyId: safetySnapshot.id });
  try {
    return {
      filled: await fillAgain(scope, { plan, volume: await again() }, options),
      safetySnapshot,
    };
  } catch (error) {
    const undo: RestorePlan = { ...plan, snapshot: safetySnapshot, mapOwner: undefined };
    await again()
      .then((remade) => fillAgain(scope, { plan: undo, volume: remade }, {}))
      .catch((undoing: unknown) => {
        throw notPutBack(error, undoing, safetySnapshot);
      });
    // What was put back may itself be the half of an earlier restore.
    if (!wasHalf) await endStreamedOf(scope, plan);
    throw error;
  }
}

/** Neither the new data is there nor the old: the error says where the old data is. */
function notPutBack(error: unknown, undoing: unknown, { id, name }: Snapshot): AppError {
  const reasons = [error, undoing].map((one) => errorMessage(one));
  return new AppError('failed', `Cannot restore ${quote(name)}, and could not put back what was in it`, {
    detail: reasons.join('\n'),
    hint: `What was in it is safe in snapshot "${id.slice(0, 8)}". When the engine answers again, run "holdfast restore ${name}@${id.slice(0, 8)}".`,
    cause: error,
  });
}

async function fillAgain(
  scope: Pick<RestoreScope, 'repository' | 'host'>,
  { plan, volume }: VolumeWork,
  options: JobOptions,
): Promise<FillResult> {
  const host = await scope.host();
  await using data = await host.openData(volume.name, { signal: options.signal, write: true });
  if (data.way === 'stream')
    return await fillStream(scope.repository, { plan, data, mustBeEmpty: true, name: volume.name }, options);
  throw new AppError('conflict', `${quote(volume.name)} is reached in another way than a moment ago`, {
    hint: 'Run the restore again.',
  });
}

interface StreamedWork {
  readonly plan: RestorePlan;
  /** The snapshot of the volume's data; undefined when it is empty. */
  readonly safetyId: string | undefined;
}

/**
 * Records, before anything is removed or written, that the plan's volume is about to be neither old nor new.
 * True when it was half restored already: then its current data is not what an undo of this restore should
 * return to.
 */
export async function beginStreamedOf(
  scope: Pick<RestoreScope, 'repository' | 'host' | 'stateDir'>,
  { plan, safetyId }: StreamedWork,
): Promise<{ readonly wasHalf: boolean }> {
  const { repository } = scope;
  const place = await placeOf(scope, plan);
  const earlier = await findStreamed(scope.stateDir, place);
  await beginStreamed(scope.stateDir, {
    ...place,
    repositoryId: repository.id,
    location: repository.location,
    snapshotId: plan.snapshot.id,
    safetyId,
    since: new Date().toISOString(),
  });
  return { wasHalf: earlier !== undefined };
}

/** The data is restored: a failure to record this is only noted. */
export async function noteWhole(
  at: HostScope,
  plans: readonly RestorePlan[],
  options: JobOptions,
): Promise<void> {
  try {
    for (const plan of plans) await endStreamedOf(at, plan);
  } catch (error) {
    const why = errorMessage(error);
    options.onNote?.(`The data is restored; that it is whole again is not noted: ${why}`);
  }
}

/** After a failure: a volume that was made for the restore, and is gone with it, is not half restored. */
export async function noteGone(at: HostScope, plans: readonly RestorePlan[]): Promise<void> {
  for (const plan of plans) {
    if (plan.destination.kind !== 'new-volume') continue;
    try {
      await endWhereGone(at, await placeOf(at, plan));
    } catch {
      // The restore's own error matters more, and the next start looks again.
    }
  }
}

/** The whole volume is restored, which also ends what an earlier restore left half done. */
async function endStreamedOf(at: HostScope, plan: RestorePlan): Promise<void> {
  if (plan.destination.kind === 'directory' || plan.path !== '') return;
  await endStreamed(at.stateDir, await placeOf(at, plan));
}

async function placeOf(access: HostAccess, { destination }: RestorePlan): Promise<StreamedPlace> {
  const { identity } = await (await access.host()).info();
  return { hostIdentity: identity, name: destination.name };
}
