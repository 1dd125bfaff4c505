import type { VolumeKeys } from './keys/volume-key.ts';
import type { Driver, DriverKind, Drivers } from './driver.ts';
import { mountedHere } from './mounted-here.ts';

export interface DriverParts {
  readonly stateDir: string;
  /** The bytes that a reference (`file:`, `env:`, `exec:`) names. */
  readonly secret: (reference: string) => Promise<Uint8Array>;
}

/** The one list of all drivers. Each is loaded when it is first asked for. */
export function openDrivers(parts: DriverParts): Drivers {
  const keys = async (): Promise<VolumeKeys> => {
    const { openVolumeKeys } = await import('./keys/volume-key.ts');
    const { openKeyWraps } = await import('./keys/key-wraps.ts');
    return openVolumeKeys(openKeyWraps(parts));
  };
  const makers: Readonly<Record<DriverKind, () => Promise<Driver>>> = {
    local: async () => (await import('./local.ts')).localDriver,
    bind: async () => (await import('./bind.ts')).bindDriver,
    tmpfs: async () => (await import('./tmpfs.ts')).tmpfsDriver,
    block: async () => (await import('./block.ts')).blockDriver,
    gocryptfs: async () => (await import('./gocryptfs.ts')).gocryptfsDriver(await keys()),
    luks: async () => (await import('./luks.ts')).luksDriver(await keys()),
    nfs: async () => (await import('./nfs.ts')).nfsDriver,
    cifs: async () => (await import('./cifs.ts')).cifsDriver(parts),
    rclone: async () => (await import('./rclone.ts')).rcloneDriver(parts),
    btrfs: async () => (await import('./btrfs.ts')).btrfsDriver,
  };
  const opened = new Map<DriverKind, Promise<Driver>>();
  return {
    get(kind) {
      const found = opened.get(kind) ?? makers[kind]().then((driver) => mountedHere(driver, parts.stateDir));
      opened.set(kind, found);
      return found;
    },
  };
}
