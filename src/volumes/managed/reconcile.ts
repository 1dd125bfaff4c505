import { setTimeout as sleep } from 'node:timers/promises';
import { readMounts } from '../../lib/mountinfo.ts';
import { bootId } from '../../lib/process-identity.ts';
import { fromText } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';
import type { CallOptions } from '../../hosts/host.ts';
import type { ReconcileReport } from './managed-volumes.ts';
import { type VolumeState, type Storage, storageOf } from './volume-state.ts';
import { isProcessHoldAlive } from './hold-id.ts';
import { isMountedAt, mountStorage, unmountIdle } from './mount-volume.ts';
import { lockVolumeFolder } from './volume-lock.ts';

interface Findings {
  readonly dropped: { readonly name: string; readonly id: string }[];
  readonly unmounted: string[];
  readonly remounted: string[];
  readonly problems: string[];
}

/** Reconciles ids and mounts of all volumes at once: one that hangs does not delay the others. */
export async function reconcileVolumes(
  state: VolumeState,
  options: CallOptions & { readonly isAlive?: ((id: string) => boolean) | undefined },
): Promise<ReconcileReport> {
  const findings: Findings = { dropped: [], unmounted: [], remounted: [], problems: [] };
  dropLost(state, findings);
  const held = new Set(state.catalog.volumes.listHolds().map(({ volume }) => volume));
  const mounted = new Set((await readMounts()).map(({ path }) => path));
  const records = state.catalog
    .listManagedVolumes()
    .filter(({ name }) => held.has(name) || mounted.has(fromText(state.folders.dataPath(name))));
  await Promise.all(
    records.map(async ({ name }) => {
      try {
        await reconcileOne(state, name, { ...options, findings });
      } catch (error) {
        if (!isAppError(error)) throw error;
        findings.problems.push(error.message);
      }
    }),
  );
  return findings;
}

/** Drops the ids of volumes that are gone. */
function dropLost({ catalog }: VolumeState, { dropped }: Findings): void {
  for (const { volume, id } of catalog.volumes.listHolds()) {
    if (catalog.findManagedVolume(volume) !== undefined) continue;
    catalog.volumes.release(volume, id);
    dropped.push({ name: volume, id });
  }
}

interface ReconcileOne extends CallOptions {
  readonly isAlive?: ((id: string) => boolean) | undefined;
  readonly findings: Findings;
}

async function reconcileOne(state: VolumeState, name: string, options: ReconcileOne): Promise<void> {
  const { signal, findings } = options;
  // Running work leaves things in order by itself.
  using lock = await lockVolumeFolder(state.folders.path(name), {
    name,
    action: 'reconcile',
    signal,
    waitMs: 0,
  }).catch(() => undefined);
  const record = state.catalog.findManagedVolume(name);
  if (lock === undefined || record === undefined) return;
  const storage = await storageOf(state, record);
  const left = dropDead(state, name, options);
  if (left === 0) {
    if (await unmountUnused(storage, { signal })) findings.unmounted.push(name);
  } else if (storage.traits.isMounted && !(await isMountedAt(storage.volume.mountpoint))) {
    await mountAgain(storage, { signal });
    findings.remounted.push(name);
  }
}

/** Drops the ids whose owners are gone, and returns how many are left. */
function dropDead(state: VolumeState, name: string, { isAlive, findings }: ReconcileOne): number {
  const boot = bootId();
  let left = 0;
  for (const { id, boot: then } of state.catalog.volumes.listHolds(name)) {
    const isThere = then === boot && (isProcessHoldAlive(id) ?? isAlive?.(id) ?? true);
    if (isThere) left++;
    else {
      state.catalog.volumes.release(name, id);
      findings.dropped.push({ name, id });
    }
  }
  return left;
}

/** A mount that no known id holds, but that a program uses, stays. */
async function unmountUnused(storage: Storage, { signal }: CallOptions): Promise<boolean> {
  try {
    return await unmountIdle(storage, { signal });
  } catch (error) {
    if (!isAppError(error, 'in-use')) throw error;
    return false;
  }
}

const attempts = 3;

/** After the machine has started, servers may come up later. */
async function mountAgain(storage: Storage, { signal }: CallOptions): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await mountStorage(storage, { signal });
      return;
    } catch (error) {
      if (attempt >= attempts || !isAppError(error, 'unavailable')) throw error;
      await sleep(2000 * attempt, undefined, signal === undefined ? {} : { signal });
    }
  }
}
