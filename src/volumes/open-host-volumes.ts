import type { Host } from '../hosts/host.ts';
import { type LeaseScope, takeLeases, type Work } from '../leases/index.ts';
import { matchesFilter } from '../model/filter.ts';
import { browseVolume } from './browse.ts';
import { cloneVolume } from './clone-volume.ts';
import { copyIn } from './copy-in.ts';
import { copyOut } from './copy-out.ts';
import { exportVolume } from './export-volume.ts';
import { findVolume } from './find-volume.ts';
import { importVolume } from './import-volume.ts';
import type { ManagedVolumes } from './managed/managed-volumes.ts';
import { applyPrune, planPrune } from './prune.ts';
import { readVolumeFile } from './read-file.ts';
import { noneProtected, type ProtectedNames, removeVolumes } from './remove-volumes.ts';
import { measureVolumes } from './usage/measure-volumes.ts';
import type { CloneReport, HostVolumes } from './host-volumes.ts';

export interface EngineOptions {
  readonly host: Host;
  /** Set where the host's volumes are managed: removed ones go to their trash. */
  readonly managed?: Pick<ManagedVolumes, 'remove'> | undefined;
  readonly protectedNames?: ProtectedNames | undefined;
  /** Opens where work on the volumes takes its leases; undefined for volumes that no other work reaches. */
  readonly leases: (() => Promise<LeaseScope>) | undefined;
  /** Called with the lease on a volume, before its data is read or written: throws where a killed restore has left it half. */
  readonly refuseHalfRestored?: RefuseHalfRestored | undefined;
}

/** What `volumes` needs of the room of restores, which is above it. */
export type RefuseHalfRestored = (name: string, work: Work) => Promise<void>;

/** The lifecycle of the volumes of one host. The caller closes the host. */
export function openHostVolumes({
  host,
  managed,
  protectedNames = noneProtected,
  leases,
  refuseHalfRestored,
}: EngineOptions): HostVolumes {
  const removal = { host, managed, protectedNames, leases };
  const leased = async <T>(
    {
      work,
      name,
      signal,
    }: { readonly work: Work; readonly name: string; readonly signal?: AbortSignal | undefined },
    does: () => Promise<T>,
  ): Promise<T> => {
    const request = { places: [{ kind: 'volume', name }], work } as const;
    await using _lease = leases && (await takeLeases(await leases(), request, { signal }));
    await refuseHalfRestored?.(name, work);
    return await does();
  };
  return {
    create: (spec, { signal } = {}) => host.createVolume(spec, { signal }),
    async list(filter, { signal } = {}) {
      const volumes = await host.listVolumes({ signal });
      return filter === undefined ? volumes : volumes.filter((volume) => matchesFilter(volume, filter));
    },
    inspect: (name, { signal } = {}) => findVolume(host, name, { action: 'inspect', signal }),
    remove: (names, options = {}) => removeVolumes(removal, names, options),
    async protect(name, isProtected, { signal } = {}) {
      const action = isProtected ? 'protect' : 'unprotect';
      const volume = await findVolume(host, name, { action, signal });
      await protectedNames.set(name, isProtected);
      return volume;
    },
    isProtected: (name) => protectedNames.has(name),
    planPrune: (filter, options = {}) => planPrune(removal, filter, options),
    applyPrune: (plan, options = {}) => applyPrune(removal, plan, options),
    async clone(request, { signal, ...options } = {}) {
      const { from, to } = request;
      const does = (): Promise<CloneReport> => cloneVolume(host, request, { signal, ...options });
      const into = (): Promise<CloneReport> => leased({ work: 'clone into', name: to, signal }, does);
      // The work itself refuses a clone into itself.
      return await leased({ work: 'clone', name: from, signal }, from === to ? does : into);
    },
    copyIn: (request, options = {}) =>
      leased({ work: 'copy into', name: request.to.volume, signal: options.signal }, () =>
        copyIn(host, request, options),
      ),
    copyOut: (request, options = {}) =>
      leased({ work: 'copy from', name: request.from.volume, signal: options.signal }, () =>
        copyOut(host, request, options),
      ),
    usage: (names, options = {}) => measureVolumes(host, names, options),
    browse: (place, options = {}) => browseVolume(host, place, options),
    readFile: (place, options = {}) => readVolumeFile(host, place, options),
    export: (request, options = {}) =>
      leased({ work: 'export', name: request.volume, signal: options.signal }, () =>
        exportVolume(host, request, options),
      ),
    import: (request, options = {}) =>
      leased({ work: 'import into', name: request.volume, signal: options.signal }, () =>
        importVolume(host, request, options),
      ),
  };
}
