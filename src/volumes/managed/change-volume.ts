import { applyOwnership, checkOwnership } from '../../lib/ownership.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { CallOptions } from '../../hosts/host.ts';
import type { VolumeOwner } from './managed-volumes.ts';
import { type VolumeState, type Storage } from './volume-state.ts';
import { withVolume } from './with-volume.ts';
import { isMountedAt, mountStorage, unmountStorage } from './mount-volume.ts';

type Texts = Readonly<Record<string, string>>;

/** An undefined value removes a label. */
export async function labelVolume(
  state: VolumeState,
  { name, labels }: { readonly name: string; readonly labels: Readonly<Record<string, string | undefined>> },
  { signal }: CallOptions,
): Promise<void> {
  await withVolume(state, { name, action: 'label', signal }, async ({ record }) => {
    const merged = Object.entries({ ...record.labels, ...labels });
    const kept = merged.filter((entry): entry is [string, string] => entry[1] !== undefined);
    state.catalog.volumes.update({ ...record, labels: Object.fromEntries(kept) });
  });
}

export async function resizeVolume(
  state: VolumeState,
  { name, sizeBytes }: { readonly name: string; readonly sizeBytes: number },
  { signal }: CallOptions,
): Promise<void> {
  await withVolume(state, { name, action: 'resize', signal }, async (storage) => {
    const { driver, volume, record } = storage;
    if (driver.resize === undefined) throw lacks('resize', storage, 'its driver has no sizes');
    const isMounted = await isMountedAt(volume.mountpoint);
    const options = await driver.resize(volume, { sizeBytes, isMounted }, { signal });
    state.catalog.volumes.update({ ...record, options });
  });
}

export async function rotateVolume(
  state: VolumeState,
  { name, key }: { readonly name: string; readonly key: string | undefined },
  { signal }: CallOptions,
): Promise<void> {
  await withVolume(state, { name, action: 'rotate the keys of', signal }, async (storage) => {
    const { driver, volume, record } = storage;
    if (driver.rotate === undefined) throw lacks('rotate the keys of', storage, 'it is not encrypted');
    const options = await driver.rotate(volume, { key }, { signal });
    state.catalog.volumes.update({ ...record, options });
  });
}

/** Owner, group and mode of the root of the data. */
export async function ownVolume(
  state: VolumeState,
  { name, owner }: { readonly name: string; readonly owner: VolumeOwner },
  { signal }: CallOptions,
): Promise<void> {
  const wanted = Object.entries(owner).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const settings: Texts = Object.fromEntries(wanted);
  checkOwnership(settings);
  await withVolume(state, { name, action: 'change the owner of', signal }, async (storage) => {
    await state.folders.check(name);
    const wasMounted = !(await mountStorage(storage, { signal }));
    try {
      await applyOwnership(storage.volume.mountpoint, settings, name);
    } finally {
      if (!wasMounted) await unmountStorage(storage, { signal });
    }
  });
}

function lacks(action: string, { record, driver }: Storage, words: string): AppError {
  return new AppError('unsupported', `Cannot ${action} volume ${quote(record.name)}: ${words}`, {
    hint: `It is on the driver ${quote(driver.kind)}. Clone it into a volume of another driver.`,
  });
}
