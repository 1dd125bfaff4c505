import type { EmbeddedVolumeRecord } from '../../catalog/catalog.ts';
import type { VolumeHealth } from '../../hosts/managed-volumes.ts';
import { type EmbeddedParts, storageOf } from './embedded-parts.ts';
import { isMountedAt } from './mount-volume.ts';

type Found = Omit<VolumeHealth, 'checkedAt'>;

const patienceMs = 8000;

/** How a volume's storage is. What is wrong with it is the answer, and so is that it does not answer in time. */
export async function lookAtVolume(parts: EmbeddedParts, record: EmbeddedVolumeRecord): Promise<Found> {
  try {
    await parts.folders.check(record.name);
    const { driver, volume } = await storageOf(parts, record);
    const isMounted = await isMountedAt(volume.mountpoint);
    const late = Promise.withResolvers<Found>();
    const message = `Its storage did not answer within ${patienceMs / 1000} seconds`;
    const timer = setTimeout(() => late.resolve({ status: 'unreachable', message }), patienceMs);
    const looked = driver.health(volume, { isMounted });
    return await Promise.race([looked, late.promise]).finally(() => clearTimeout(timer));
  } catch (error) {
    return { status: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}
