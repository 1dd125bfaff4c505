import type { Host } from '../hosts/host.ts';
import { type LeaseScope, takeLeases } from '../leases/index.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { protectedError } from '../model/volume-name.ts';
import type { ManagedVolumes } from './managed/managed-volumes.ts';
import type { RemoveOptions, RemoveReport, VolumeFailure } from './host-volumes.ts';

/** Which volumes of the host must stay. */
export interface ProtectedNames {
  has(name: string): Promise<boolean>;
  list(): Promise<readonly string[]>;
  set(name: string, isProtected: boolean): Promise<void>;
}

/** For a host whose volumes cannot be protected. */
export const noneProtected: ProtectedNames = {
  has: async () => false,
  list: async () => [],
  set: async () => {
    throw new AppError('unsupported', 'Volumes cannot be protected here');
  },
};

export interface RemovalPlace {
  readonly host: Host;
  readonly managed: Pick<ManagedVolumes, 'remove'> | undefined;
  readonly protectedNames: ProtectedNames;
  readonly leases: (() => Promise<LeaseScope>) | undefined;
}

/** Tries each name, also after a failure. */
export async function removeVolumes(
  place: RemovalPlace,
  names: readonly string[],
  { force, losesUnsaved, permanent, signal }: RemoveOptions,
): Promise<RemoveReport> {
  if (names.length === 0) throw new AppError('usage', 'No volume is named to be removed');
  const removed: string[] = [];
  const missing: string[] = [];
  const failures: VolumeFailure[] = [];
  for (const name of new Set(names)) {
    const error = await removeOne(place, name, { permanent, losesUnsaved, signal });
    if (error === undefined) removed.push(name);
    else if (error.code === 'not-found' && force === true) missing.push(name);
    else failures.push({ name, error });
  }
  return { removed, missing, failures };
}

/** The error, where there is one about this volume. */
export async function removeOne(
  { host, managed, protectedNames, leases }: RemovalPlace,
  name: string,
  { permanent, losesUnsaved, signal }: Pick<RemoveOptions, 'permanent' | 'losesUnsaved' | 'signal'>,
): Promise<AppError | undefined> {
  try {
    if ((await protectedNames.has(name)) && (await host.findVolume(name, { signal })) !== undefined)
      return protectedError(name);
    if (managed !== undefined) await managed.remove(name, { permanent, losesUnsaved, signal });
    else {
      const request = { places: [{ kind: 'volume', name }], work: 'remove' } as const;
      await using _lease = leases && (await takeLeases(await leases(), request, { signal }));
      await host.removeVolume(name, { signal });
    }
    return undefined;
  } catch (error) {
    if (!isAppError(error) || error.code === 'cancelled' || error.code === 'unavailable') throw error;
    return error;
  }
}
