import type { Host } from '../hosts/host.ts';
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
import type { VolumeEngine } from './volume-engine.ts';

export interface EngineOptions {
  readonly host: Host;
  /** Where the host's volumes are Holdfast's own: what is removed goes to their trash. */
  readonly managed?: Pick<ManagedVolumes, 'remove'> | undefined;
  readonly protectedNames?: ProtectedNames | undefined;
}

/** The lifecycle of the volumes of one host. The host stays its owner's to close. */
export function openEngine({ host, managed, protectedNames = noneProtected }: EngineOptions): VolumeEngine {
  const removal = { host, managed, protectedNames };
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
    clone: (request, options = {}) => cloneVolume(host, request, options),
    copyIn: (request, options = {}) => copyIn(host, request, options),
    copyOut: (request, options = {}) => copyOut(host, request, options),
    usage: (names, options = {}) => measureVolumes(host, names, options),
    browse: (place, options = {}) => browseVolume(host, place, options),
    readFile: (place, options = {}) => readVolumeFile(host, place, options),
    export: (request, options = {}) => exportVolume(host, request, options),
    import: (request, options = {}) => importVolume(host, request, options),
  };
}
