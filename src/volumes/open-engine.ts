import type { Host } from '../hosts/host.ts';
import { matchesFilter } from '../model/filter.ts';
import type { ManagedVolumes } from './managed/managed-volumes.ts';
import { noneProtected, type ProtectedNames } from './protection.ts';
import type { VolumeEngine } from './volume-engine.ts';

export interface EngineOptions {
  readonly host: Host;
  /** Where the host's volumes are Holdfast's own: what is removed goes to their trash. */
  readonly managed?: Pick<ManagedVolumes, 'remove'> | undefined;
  readonly protectedNames?: ProtectedNames | undefined;
}

/** The lifecycle of the volumes of one host. The host stays its owner's to close. Each part is loaded when it is needed. */
export function openEngine({ host, managed, protectedNames = noneProtected }: EngineOptions): VolumeEngine {
  const removal = { host, managed, protectedNames };
  return {
    create: (spec, { signal } = {}) => host.createVolume(spec, { signal }),
    async list(filter, { signal } = {}) {
      const volumes = await host.listVolumes({ signal });
      return filter === undefined ? volumes : volumes.filter((volume) => matchesFilter(volume, filter));
    },
    async inspect(name, { signal } = {}) {
      const { findVolume } = await import('./find-volume.ts');
      return await findVolume(host, name, { action: 'inspect', signal });
    },
    async remove(names, options = {}) {
      const { removeVolumes } = await import('./remove-volumes.ts');
      return await removeVolumes(removal, names, options);
    },
    async protect(name, isProtected, { signal } = {}) {
      const { findVolume } = await import('./find-volume.ts');
      const action = isProtected ? 'protect' : 'unprotect';
      const volume = await findVolume(host, name, { action, signal });
      await protectedNames.set(name, isProtected);
      return volume;
    },
    isProtected: (name) => protectedNames.has(name),
    async planPrune(filter, options = {}) {
      const { planPrune } = await import('./prune.ts');
      return await planPrune(removal, filter, options);
    },
    async applyPrune(plan, options = {}) {
      const { applyPrune } = await import('./prune.ts');
      return await applyPrune(removal, plan, options);
    },
    async clone(request, options = {}) {
      const { cloneVolume } = await import('./clone-volume.ts');
      return await cloneVolume(host, request, options);
    },
    async copyIn(request, options = {}) {
      const { copyIn } = await import('./copy-in.ts');
      return await copyIn(host, request, options);
    },
    async copyOut(request, options = {}) {
      const { copyOut } = await import('./copy-out.ts');
      return await copyOut(host, request, options);
    },
    async usage(names, options = {}) {
      const { measureVolumes } = await import('./usage/measure-volumes.ts');
      return await measureVolumes(host, names, options);
    },
    async browse(place, options = {}) {
      const { browseVolume } = await import('./browse.ts');
      return await browseVolume(host, place, options);
    },
    async *readFile(place, options = {}) {
      const { readVolumeFile } = await import('./read-file.ts');
      yield* readVolumeFile(host, place, options);
    },
    async export(request, options = {}) {
      const { exportVolume } = await import('./export-volume.ts');
      return await exportVolume(host, request, options);
    },
    async import(request, options = {}) {
      const { importVolume } = await import('./import-volume.ts');
      return await importVolume(host, request, options);
    },
  };
}
