import { requireMountsHere } from '../lib/mount-claim.ts';
import { quote } from '../model/quote.ts';
import type { Driver, DriverVolume } from './driver.ts';

/**
 * The driver, refusing what would touch the storage of a volume that is or may be mounted in another mount namespace.
 * Directories that need no mount are the same everywhere.
 */
export function mountedHere(driver: Driver, stateDir: string): Driver {
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
