import type { ManagedVolumeRecord } from '../../catalog/catalog.ts';
import { mountAt, type MountPoint, readMounts } from '../../lib/mountinfo.ts';
import { fromText } from '../../model/byte-string.ts';
import { isSharedKind } from '../../model/storage-kind.ts';
import type { ManagedVolume } from './managed-volumes.ts';
import { type VolumeState, isPlain, kindOf, storageOf } from './volume-state.ts';
import { liveIds } from './mount-volume.ts';

type Use = Pick<ManagedVolume, 'mountIds' | 'isMounted' | 'isProtected'>;

const idle: Use = { mountIds: [], isMounted: true, isProtected: false };

/** Describes volumes from the catalog and the mount table. Never touches storage. */
export class VolumeDescriptions {
  readonly #state: VolumeState;
  readonly #idleOnes = new WeakMap<ManagedVolumeRecord, ManagedVolume>();

  constructor(state: VolumeState) {
    this.#state = state;
  }

  async of(record: ManagedVolumeRecord): Promise<ManagedVolume> {
    const { catalog } = this.#state;
    const mounts = isPlain(record) ? [] : await readMounts();
    return this.with(record, {
      mountIds: liveIds(catalog.volumes.listHolds(record.name)),
      isMounted: await this.#isMounted(record, mounts),
      isProtected: catalog.volumes.isProtected(catalog.stateId(), record.name),
    });
  }

  async ofAll(): Promise<ManagedVolume[]> {
    const { catalog } = this.#state;
    const records = catalog.listManagedVolumes();
    const mounts = records.every(isPlain) ? [] : await readMounts();
    const holds = Map.groupBy(catalog.volumes.listHolds(), ({ volume }) => volume);
    const guarded = new Set(catalog.volumes.listProtected(catalog.stateId()));
    const volumes: ManagedVolume[] = [];
    for (const record of records) {
      const held = holds.get(record.name);
      const isProtected = guarded.has(record.name);
      if (held === undefined && !isProtected && isPlain(record)) volumes.push(this.#idle(record));
      else {
        const isMounted = await this.#isMounted(record, mounts);
        volumes.push(this.with(record, { mountIds: liveIds(held ?? []), isMounted, isProtected }));
      }
    }
    return volumes;
  }

  with(record: ManagedVolumeRecord, use: Use): ManagedVolume {
    const { name, driver, createdAt, labels, options, anonymous } = record;
    const kind = kindOf(record);
    return {
      name,
      driver,
      kind,
      mountpoint: this.#state.folders.dataPath(name),
      createdAt,
      labels,
      options,
      scope: isSharedKind(kind) ? 'global' : 'local',
      anonymous,
      stack: labels['com.docker.compose.project'],
      consumers: [],
      ...use,
    };
  }

  async #isMounted(record: ManagedVolumeRecord, mounts: readonly MountPoint[]): Promise<boolean> {
    if (isPlain(record)) return true;
    const { traits, volume } = await storageOf(this.#state, record);
    return !traits.isMounted || mountAt(mounts, fromText(volume.mountpoint)) !== undefined;
  }

  /** For a plain volume that is neither held nor protected: the same as long as its record is. */
  #idle(record: ManagedVolumeRecord): ManagedVolume {
    const known = this.#idleOnes.get(record);
    if (known !== undefined) return known;
    const volume = this.with(record, idle);
    this.#idleOnes.set(record, volume);
    return volume;
  }
}
