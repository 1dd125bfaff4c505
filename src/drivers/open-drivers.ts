import { requireMountsHere } from '../lib/mount-claim.ts';
import { quote } from '../model/quote.ts';
import { openVolumeKeys, type VolumeKeys } from './keys/volume-key.ts';
import type { Driver, DriverKind, Drivers, DriverVolume } from './driver.ts';
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

interface DriverParts {
  readonly stateDir: string;
  /** Resolves a reference (`file:`, `env:`, `exec:`) to its bytes. */
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

/**
 * Wraps a driver to refuse calls on a volume that is or may be mounted in another mount namespace.
 * Directories that need no mount are the same everywhere.
 */
function mountedHere(driver: Driver, stateDir: string): Driver {
  const check = async (volume: DriverVolume, action: string): Promise<void> => {
    if (!driver.traits(volume.options).isMounted) return;
    await requireMountsHere(stateDir, `Cannot ${action} volume ${quote(volume.name)}`);
  };
  return {
    ...driver,
    async mount(volume, call) {
      await check(volume, 'mount');
      await driver.mount(volume, call);
    },
    ...(driver.freeze !== undefined && {
      async freeze(volume, path, call) {
        await check(volume, 'freeze');
        await driver.freeze?.(volume, path, call);
      },
    }),
    ...(driver.clone !== undefined && {
      async clone(from, to, call) {
        await check(from, 'clone');
        return (await driver.clone?.(from, to, call)) ?? false;
      },
    }),
    ...(driver.resize !== undefined && {
      async resize(volume, request, call) {
        await check(volume, 'resize');
        return (await driver.resize?.(volume, request, call)) ?? volume.options;
      },
    }),
    ...(driver.rotate !== undefined && {
      async rotate(volume, request, call) {
        await check(volume, 'rotate the keys of');
        return (await driver.rotate?.(volume, request, call)) ?? volume.options;
      },
    }),
    ...(driver.erase !== undefined && {
      async erase(volume, call) {
        await check(volume, 'erase');
        await driver.erase?.(volume, call);
      },
    }),
  } satisfies Driver;
}
