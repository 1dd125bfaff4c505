import { lockForReading, lockRepository } from '../lock.ts';
import type { RepairOptions } from './repair-types.ts';
import type { RepairWork } from './repair-work.ts';

type RepairParts = Pick<RepairWork, 'codec' | 'address' | 'masterKey'>;

/** Does a repair with the repository for itself; a dry run only reads, beside others. */
export async function runRepair<Report>(
  parts: RepairParts,
  { signal, onProgress, dryRun = false }: RepairOptions,
  repair: (work: RepairWork) => Promise<Report>,
): Promise<Report> {
  const { masterKey } = parts;
  // What is kept at hand of the store is no proof of what is there.
  const codec = { ...parts.codec, store: parts.codec.store.direct ?? parts.codec.store };
  const address = { ...parts.address, cache: undefined };
  const work = { codec, address, masterKey, signal, onProgress, dryRun };
  if (dryRun) {
    await using _lock = await lockForReading(codec, { signal });
    return await repair({ ...work, lock: undefined });
  }
  await using lock = await lockRepository(codec, { exclusive: true, signal });
  return await repair({ ...work, lock });
}
