import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Volume } from '../model/volume.ts';
import type { FillResult } from './fill-directory.ts';
import { fillStream, readThrough } from './fill-stream.ts';
import { hintOfRoot } from './hint-of-root.ts';
import { beginStreamedOf, endStreamedOf } from './note-streamed.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import { refuseActive } from '../quiesce/index.ts';
import type { RestorePlan } from './restore-plan.ts';
import { asTarget, saveSafety } from './save-safety.ts';

export interface Replaced {
  readonly filled: FillResult;
  readonly safetySnapshot: Snapshot;
}

interface VolumeWork {
  readonly plan: RestorePlan;
  readonly volume: Volume;
}

/**
 * A stream cannot delete: the volume is removed and made again. Only when the snapshot was read to its end before, the old
 * data is safe, and it is written down that what is in the volume is not whole until this is done.
 */
export async function replaceStreamed(
  parts: Protection,
  { plan, volume }: VolumeWork,
  options: JobOptions,
): Promise<Replaced> {
  refuseActive(volume.name, volume.consumers);
  const host = await parts.host();
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
  await readThrough(parts, plan, options);
  const safetySnapshot = await saveSafety(parts, await asTarget(parts, volume, options), options);
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
  const { wasHalf } = await beginStreamedOf(parts, { plan, safetyId: safetySnapshot.id });
  try {
    return {
      filled: await fillAgain(parts, { plan, volume: await again() }, options),
      safetySnapshot,
    };
  } catch (error) {
    const undo: RestorePlan = { ...plan, snapshot: safetySnapshot, mapOwner: undefined };
    await again()
      .then((remade) => fillAgain(parts, { plan: undo, volume: remade }, {}))
      .catch((undoing: unknown) => {
        throw notPutBack(error, undoing, safetySnapshot);
      });
    // What was put back may be what an earlier restore has left half done.
    if (!wasHalf) await endStreamedOf(parts, plan);
    throw error;
  }
}

/** Neither the new data is there nor the old: whoever reads it must know where the old is. */
function notPutBack(error: unknown, undoing: unknown, { id, name }: Snapshot): AppError {
  const reasons = [error, undoing].map((one) => (one instanceof Error ? one.message : String(one)));
  return new AppError('failed', `Cannot restore ${quote(name)}, and could not put back what was in it`, {
    detail: reasons.join('\n'),
    hint: `What was in it is safe in snapshot "${id.slice(0, 8)}". When the engine answers again, run "holdfast restore ${name}@${id.slice(0, 8)}".`,
    cause: error,
  });
}

async function fillAgain(
  parts: Protection,
  { plan, volume }: VolumeWork,
  options: JobOptions,
): Promise<FillResult> {
  const host = await parts.host();
  await using data = await host.openData(volume.name, { signal: options.signal, write: true });
  if (data.way === 'stream')
    return await fillStream(parts, { plan, data, mustBeEmpty: true, name: volume.name }, options);
  throw new AppError('conflict', `${quote(volume.name)} is reached in another way than a moment ago`, {
    hint: 'Run the restore again.',
  });
}
