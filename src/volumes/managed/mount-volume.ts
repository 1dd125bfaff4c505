import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VolumeHold } from '../../catalog/catalog.ts';
import { mountAt, readMounts } from '../../lib/mountinfo.ts';
import { bootId } from '../../lib/process-identity.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { CallOptions } from '../../hosts/host.ts';
import { type VolumeState, type Storage } from './volume-state.ts';
import { withVolume } from './with-volume.ts';
import { isProcessHoldAlive } from './hold-id.ts';

/** Mounts a volume if necessary, records the id, and returns the path. */
export async function mountVolume(
  state: VolumeState,
  { name, id }: VolumeUse,
  { signal }: CallOptions = {},
): Promise<string> {
  return await withVolume(state, { name, action: 'mount', signal }, async (storage) => {
    await state.folders.check(name);
    await mountStorage(storage, { signal });
    // Recorded last: a kill before this leaves a mount that no id holds, which the next start removes.
    state.catalog.volumes.hold({ volume: name, id, boot: bootId(), heldAt: new Date().toISOString() });
    return storage.volume.mountpoint;
  });
}

export interface VolumeUse {
  readonly name: string;
  readonly id: string;
}

/** False when it is mounted and answers. Replaces a mount whose server has forgotten it. */
export async function mountStorage(storage: Storage, { signal }: CallOptions): Promise<boolean> {
  const { driver, traits, volume } = storage;
  if (!traits.isMounted) return false;
  if (await isMountedAt(volume.mountpoint)) {
    const { status } = traits.canGoStale
      ? await driver.health(volume, { isMounted: true })
      : { status: 'good' };
    if (status !== 'failed') return false;
    await driver.unmount(volume, { signal });
  }
  await driver.mount(volume, { signal });
  return true;
}

export async function isMountedAt(path: string): Promise<boolean> {
  return mountAt(await readMounts(), fromText(path)) !== undefined;
}

/** Drops the id, and unmounts after the last one. False for a volume that is gone. */
export async function unmountVolume(
  state: VolumeState,
  { name, id }: VolumeUse,
  { signal }: CallOptions = {},
): Promise<boolean> {
  // A folder that is gone has no mount.
  const isThere = state.catalog.findManagedVolume(name) !== undefined && existsSync(state.folders.path(name));
  if (!isThere) {
    state.catalog.volumes.release(name, id);
    return false;
  }
  await withVolume(state, { name, action: 'unmount', signal }, async (storage) => {
    state.catalog.volumes.release(name, id);
    if (liveIds(state.catalog.volumes.listHolds(name)).length === 0) await unmountIdle(storage, { signal });
  });
  return true;
}

export async function unmountStorage(
  { driver, traits, volume }: Storage,
  { signal }: CallOptions,
): Promise<boolean> {
  if (!traits.isMounted || !(await isMountedAt(volume.mountpoint))) return false;
  await driver.unmount(volume, { signal });
  return true;
}

/**
 * A program that looks at all file systems, or was killed with its mount in use, may occupy it for a moment.
 */
const idle = { tries: 10, eachMs: 100 };

/** Unmounts one that no id holds. `in-use` when a program has used it all that time. */
export async function unmountIdle(storage: Storage, { signal }: CallOptions): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await unmountStorage(storage, { signal });
    } catch (error) {
      if (!isAppError(error, 'in-use') || attempt >= idle.tries) throw error;
      await sleep(idle.eachMs);
    }
  }
}

/** The ids that still count: without those of ended processes, and of before the last boot. */
export function liveIds(holds: readonly VolumeHold[]): string[] {
  if (holds.length === 0) return [];
  const boot = bootId();
  return holds
    .filter((hold) => hold.boot === boot && isProcessHoldAlive(hold.id) !== false)
    .map((hold) => hold.id);
}

/** Throws `in-use` while an id holds it; then unmounts it. */
export async function requireUnused(
  state: VolumeState,
  storage: Storage,
  { action, signal }: CallOptions & { readonly action: string },
): Promise<void> {
  const { name } = storage.record;
  const ids = liveIds(state.catalog.volumes.listHolds(name));
  if (ids.length > 0) {
    throw new AppError(
      'in-use',
      `Cannot ${action} volume ${quote(name)}: it is mounted for ${describeIds(ids)}`,
      {
        hint: 'Stop what uses it first.',
      },
    );
  }
  await unmountStorage(storage, { signal });
}

function describeIds(ids: readonly string[]): string {
  const shown = ids.slice(0, 3).map((id) => {
    const pid = /^process:(\d+):/.exec(id)?.[1];
    return pid === undefined ? quote(id.length > 24 ? `${id.slice(0, 12)}…` : id) : `process ${pid}`;
  });
  const more = ids.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}
