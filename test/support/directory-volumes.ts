import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ManagedVolume, ManagedVolumes, TrashedVolume, VolumeEvent } from '../../src/app/app.ts';
import { AppError } from '../../src/model/errors.ts';
import { storageKind } from '../../src/model/storage-kind.ts';
import type { VolumeSpec } from '../../src/model/volume.ts';
import { checkVolumeName } from '../../src/model/volume-name.ts';

type Served = Pick<
  ManagedVolumes,
  | 'create'
  | 'find'
  | 'list'
  | 'remove'
  | 'mount'
  | 'unmount'
  | 'lastHealth'
  | 'health'
  | 'reconcile'
  | 'subscribe'
  | 'label'
  | 'listTrash'
  | 'restoreTrash'
>;

/**
 * Volumes as plain directories below a folder, without a catalog, for tests of the layers above. `failing`
 * makes lookups fail.
 */
export interface DirectoryVolumes extends Served {
  failing: boolean;
  /** The calls in order: `mount pg docker:1`. */
  readonly calls: string[];
}

export function directoryVolumes(folder: string): DirectoryVolumes {
  const known = new Map<string, ManagedVolume>();
  const listeners = new Set<(event: VolumeEvent) => void>();
  const calls: string[] = [];
  const trash: { readonly volume: ManagedVolume; readonly id: string }[] = [];
  const emit = (kind: VolumeEvent['kind'], volume: ManagedVolume, id?: string): void => {
    for (const listener of listeners) listener({ kind, volume, id, at: new Date().toISOString() });
  };
  const existing = (name: string): ManagedVolume => {
    const volume = known.get(name);
    if (volume === undefined) throw new AppError('not-found', `There is no volume "${name}"`);
    return volume;
  };
  const store = (volume: ManagedVolume): ManagedVolume => {
    known.set(volume.name, volume);
    return volume;
  };
  const volumes: DirectoryVolumes = {
    failing: false,
    calls,
    async create(spec) {
      const name = spec.name ?? randomBytes(32).toString('hex');
      checkVolumeName(name);
      const found = known.get(name);
      if (found !== undefined) {
        if (isSame(found, spec)) return found;
        throw new AppError('conflict', `Cannot create volume "${name}": it exists and differs`);
      }
      const mountpoint = join(folder, name);
      mkdirSync(mountpoint, { recursive: true });
      const volume = store({
        ...spec,
        name,
        labels: spec.name === undefined ? { ...spec.labels, 'com.docker.volume.anonymous': '' } : spec.labels,
        kind: storageKind(spec),
        mountpoint,
        createdAt: new Date().toISOString(),
        scope: 'local',
        anonymous: spec.name === undefined,
        stack: undefined,
        consumers: [],
        isProtected: false,
        isMounted: true,
        mountIds: [],
      });
      emit('create', volume);
      return volume;
    },
    async find(name) {
      if (volumes.failing) throw new AppError('unavailable', 'The disk is on fire');
      return known.get(name);
    },
    async list() {
      if (volumes.failing) throw new AppError('unavailable', 'The disk is on fire');
      return [...known.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1));
    },
    async remove(name, options = {}) {
      calls.push(`${options.permanent === true ? 'delete' : 'remove'} ${name}`);
      const volume = existing(name);
      if (volume.mountIds.length > 0) throw new AppError('in-use', `Cannot remove "${name}": it is mounted`);
      known.delete(name);
      if (options.permanent === true) rmSync(volume.mountpoint, { recursive: true, force: true });
      else {
        const id = randomBytes(8).toString('hex');
        renameSync(volume.mountpoint, `${folder}-${id}`);
        trash.unshift({ volume, id });
      }
      emit('destroy', volume);
    },
    async mount(name, id) {
      calls.push(`mount ${name} ${id}`);
      const volume = existing(name);
      emit('mount', store({ ...volume, mountIds: [...new Set([...volume.mountIds, id])] }), id);
      return volume.mountpoint;
    },
    async unmount(name, id) {
      calls.push(`unmount ${name} ${id}`);
      const volume = known.get(name);
      if (volume === undefined) return;
      emit('unmount', store({ ...volume, mountIds: volume.mountIds.filter((other) => other !== id) }), id);
    },
    async label(name, labels) {
      const all = { ...existing(name).labels, ...labels };
      const set = Object.entries(all).filter((label): label is [string, string] => label[1] !== undefined);
      return store({ ...existing(name), labels: Object.fromEntries(set) });
    },
    listTrash: async () => trash.map(trashed),
    async restoreTrash(which, { to } = {}) {
      const found = trash.find(({ volume, id }) => volume.name === which || id === which);
      if (found === undefined) throw new AppError('not-found', `"${which}" is not in the trash`);
      trash.splice(trash.indexOf(found), 1);
      const name = to ?? found.volume.name;
      const mountpoint = join(folder, name);
      renameSync(`${folder}-${found.id}`, mountpoint);
      return store({ ...found.volume, name, mountpoint });
    },
    health: async () => ({ status: 'good', message: undefined, checkedAt: undefined }),
    reconcile: async () => ({ dropped: [], unmounted: [], remounted: [], problems: [] }),
    lastHealth: () => ({ status: 'good', message: undefined, checkedAt: undefined }),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return volumes;
}

function isSame(volume: ManagedVolume, { driver, options, labels }: VolumeSpec): boolean {
  return (
    JSON.stringify([volume.driver, volume.options, volume.labels]) ===
    JSON.stringify([driver, options, labels])
  );
}

function trashed({ volume, id }: { readonly volume: ManagedVolume; readonly id: string }): TrashedVolume {
  const { name, driver, labels, options, createdAt = '' } = volume;
  const times = { createdAt, removedAt: '2026-01-01T00:00:00Z', expiresAt: '2026-01-08T00:00:00Z' };
  return { id, name, driver, labels, options, ...times, isRecordOnly: false };
}
