import { openVolumeKeys, type VolumeKeys } from './keys/volume-key.ts';
import type { Driver, DriverKind, Drivers } from './driver.ts';
import { mountedHere } from './mounted-here.ts';
import { openKeyWraps } from './keys/key-wraps.ts';
import { localDriver } from './local.ts';
import { bindDriver } from './bind.ts';
import { tmpfsDriver } from './tmpfs.ts';
import { blockDriver } from './block.ts';
import { gocryptfsDriver } from './gocryptfs.ts';
import { luksDriver } from './luks.ts';
import { nfsDriver } from './nfs.ts';
import { cifsDriver } from './cifs.ts';
import { rcloneDriver } from './rclone.ts';
import { btrfsDriver } from './btrfs.ts';

export interface DriverParts {
  readonly stateDir: string;
  /** The bytes that a reference (`file:`, `env:`, `exec:`) names. */
  readonly secret: (reference: string) => Promise<Uint8Array>;
}

/** The one list of all drivers. */
export function openDrivers(parts: DriverParts): Drivers {
  const keys = async (): Promise<VolumeKeys> => {
    return openVolumeKeys(openKeyWraps(parts));
  };
  const makers: Readonly<Record<DriverKind, () => Promise<Driver>>> = {
    local: async () => localDriver,
    bind: async () => bindDriver,
    tmpfs: async () => tmpfsDriver,
    block: async () => blockDriver,
    gocryptfs: async () => gocryptfsDriver(await keys()),
    luks: async () => luksDriver(await keys()),
    nfs: async () => nfsDriver,
    cifs: async () => cifsDriver(parts),
    rclone: async () => rcloneDriver(parts),
    btrfs: async () => btrfsDriver,
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
