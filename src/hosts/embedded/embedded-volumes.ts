import type { EmbeddedVolumeRecord } from '../../catalog/catalog.ts';
import { mountAt, type MountPoint, readMounts } from '../../lib/mountinfo.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { VolumeSpec } from '../../model/volume.ts';
import { volumeDifferences } from '../../model/volume-difference.ts';
import type { CallOptions } from '../host.ts';
import type {
  ManagedVolume,
  ManagedVolumes,
  ReconcileReport,
  RoomUsage,
  TrashedVolume,
  VolumeEvent,
  VolumeHealth,
  VolumeOwner,
} from '../managed-volumes.ts';
import type { MigrationSteps, MigrationTarget, MigrationWish } from '../volume-migration.ts';
import { labelVolume, ownVolume, resizeVolume, rotateVolume } from './change-volume.ts';
import { createVolume, keptOptions } from './create-volume.ts';
import { type EmbeddedParts, isPlain, kindOf, requireRecord, storageOf } from './embedded-parts.ts';
import { isMountedAt, liveIds, mountVolume, unmountVolume } from './mount-volume.ts';
import { reconcileVolumes } from './reconcile.ts';
import { SettleLater } from './settle-later.ts';
import { settleVolumes } from './settle-volumes.ts';
import { renameVolume } from './rename-volume.ts';
import {
  deleteTrashed,
  describeTrashed,
  findMigratedFrom,
  findTrashed,
  listTrashed,
  removeVolume,
  restoreTrashed,
} from './volume-trash.ts';

const unknownHealth: VolumeHealth = { status: 'unknown', message: undefined, checkedAt: undefined };
const healthMs = 8000;

type Parts = Omit<EmbeddedParts, 'emit' | 'settleSoon'>;
type ReconcileOptions = NonNullable<Parameters<ManagedVolumes['reconcile']>[0]>;

/** The catalog's record is what makes a volume; its folder is made before the record, and goes before it. */
export class EmbeddedVolumes implements ManagedVolumes {
  readonly #parts: EmbeddedParts;
  readonly #listeners = new Set<(event: VolumeEvent) => void>();
  readonly #health = new Map<string, VolumeHealth>();
  readonly #idleOnes = new WeakMap<EmbeddedVolumeRecord, ManagedVolume>();
  readonly #closing = new AbortController();
  readonly #settling: SettleLater;
  #tidying: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#parts = {
      ...parts,
      settleSoon: () => this.#settling.ask(),
      emit: ({ name, ...event }) => this.#emit(name, event),
    };
    this.#settling = new SettleLater(() => this.#settle());
  }

  /**
   * In the background: makes ids and mounts agree, and deletes what has been in the trash for longer than its time. A
   * server that hangs must not keep the program from starting.
   */
  tidyUp(): void {
    const { signal } = this.#closing;
    const work = async (): Promise<void> => {
      await this.#reconcile({ signal });
      // Of processes that were killed. A command that looks only has ended before that.
      this.#settling.expect();
      await this.emptyTrash('expired', { signal });
    };
    this.#tidying = work().catch((error: unknown) => {
      if (signal.aborted) return;
      this.#parts.onWarning?.(
        `Volumes could not be tidied up: ${error instanceof Error ? error.message : String(error)}`,
      );
    });
  }

  async create(spec: VolumeSpec, { signal }: CallOptions = {}): Promise<ManagedVolume> {
    const { record, isNew } = await createVolume(this.#parts, spec, {
      signal,
      existing: (found) => this.#requireAgreement(spec, found),
    });
    const volume = await this.#describe(record, isPlain(record) ? [] : await readMounts());
    if (isNew) this.#tell({ kind: 'create', volume });
    return volume;
  }

  async find(name: string): Promise<ManagedVolume | undefined> {
    const record = this.#parts.catalog.findEmbeddedVolume(name);
    if (record === undefined) return undefined;
    return await this.#describe(record, isPlain(record) ? [] : await readMounts());
  }

  async list(): Promise<ManagedVolume[]> {
    const { catalog } = this.#parts;
    const records = catalog.listEmbeddedVolumes();
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
        volumes.push(this.#toVolume(record, { mountIds: liveIds(held ?? []), isMounted, isProtected }));
      }
    }
    return volumes;
  }

  async remove(name: string, options: CallOptions & { readonly permanent?: boolean } = {}): Promise<void> {
    const volume = await this.#require(name, 'remove');
    await removeVolume(this.#parts, name, { permanent: options.permanent ?? false, signal: options.signal });
    this.#health.delete(name);
    this.#tell({ kind: 'destroy', volume });
  }

  mount(name: string, id: string, options: CallOptions = {}): Promise<string> {
    return mountVolume(this.#parts, { name, id }, options);
  }

  unmount(name: string, id: string, options: CallOptions = {}): Promise<void> {
    return unmountVolume(this.#parts, { name, id }, options);
  }

  async rename(name: string, to: string, options: CallOptions = {}): Promise<ManagedVolume> {
    await renameVolume(this.#parts, { name, to }, options);
    this.#health.delete(name);
    return await this.#changed(to, { kind: 'rename', from: name });
  }

  async label(name: string, labels: Readonly<Record<string, string | undefined>>): Promise<ManagedVolume> {
    await labelVolume(this.#parts, name, labels);
    return await this.#changed(name, { kind: 'label' });
  }

  async protect(name: string, isProtected: boolean): Promise<ManagedVolume> {
    const { catalog } = this.#parts;
    requireRecord(this.#parts, { name, action: isProtected ? 'protect' : 'unprotect' });
    catalog.volumes.setProtected(catalog.stateId(), name, isProtected);
    return await this.#changed(name, { kind: 'protect' });
  }

  async resize(name: string, sizeBytes: number, options: CallOptions = {}): Promise<ManagedVolume> {
    await resizeVolume(this.#parts, { name, sizeBytes }, options);
    return await this.#changed(name, { kind: 'resize' });
  }

  async own(name: string, owner: VolumeOwner, options: CallOptions = {}): Promise<ManagedVolume> {
    await ownVolume(this.#parts, { name, owner }, options);
    return await this.#require(name, 'change');
  }

  async rotate(name: string, key: string | undefined, options: CallOptions = {}): Promise<ManagedVolume> {
    await rotateVolume(this.#parts, { name, key }, options);
    return await this.#require(name, 'rotate the keys of');
  }

  async checkMigration(name: string, wish: MigrationWish): Promise<MigrationTarget> {
    const { checkMigration } = await import('./check-migration.ts');
    return await checkMigration(this.#parts, name, wish);
  }

  async migrate(
    name: string,
    wish: MigrationWish,
    { steps, signal }: CallOptions & { readonly steps: MigrationSteps },
  ): Promise<ManagedVolume> {
    const { driver, options } = await this.checkMigration(name, wish);
    const { migrateVolume } = await import('./migrate-volume.ts');
    await migrateVolume(this.#parts, { name, wish: { driver, options } }, { steps, signal });
    this.#health.delete(name);
    return await this.#require(name, 'find');
  }

  async findMigrated(name: string): Promise<TrashedVolume | undefined> {
    const record = requireRecord(this.#parts, { name, action: 'migrate' });
    const found = await findMigratedFrom(this.#parts, record);
    return found && (await describeTrashed(this.#parts, found));
  }

  async migrateBack(
    name: string,
    options: CallOptions & { readonly steps: Pick<MigrationSteps, 'makeStill'> },
  ): Promise<ManagedVolume> {
    const { migrateVolumeBack } = await import('./migrate-volume.ts');
    await migrateVolumeBack(this.#parts, name, options);
    this.#health.delete(name);
    return await this.#require(name, 'find');
  }

  async room(name: string, { signal }: CallOptions = {}): Promise<RoomUsage | undefined> {
    const record = requireRecord(this.#parts, { name, action: 'measure' });
    const { driver, traits, volume } = await storageOf(this.#parts, record);
    if (traits.isMounted && !(await isMountedAt(volume.mountpoint))) return undefined;
    return await driver.usage?.(volume, { signal });
  }

  async health(name: string): Promise<VolumeHealth> {
    const record = requireRecord(this.#parts, { name, action: 'look at' });
    const found = { ...(await this.#look(record)), checkedAt: new Date().toISOString() };
    this.#health.set(name, found);
    return found;
  }

  lastHealth(name: string): VolumeHealth {
    return this.#health.get(name) ?? unknownHealth;
  }

  async listTrash(): Promise<TrashedVolume[]> {
    const all = await listTrashed(this.#parts);
    return await Promise.all(all.map((trashed) => describeTrashed(this.#parts, trashed)));
  }

  async restoreTrash(
    which: string,
    options: CallOptions & { readonly to?: string | undefined } = {},
  ): Promise<ManagedVolume> {
    await settleVolumes(this.#parts);
    const trashed = findTrashed(await listTrashed(this.#parts), which);
    return await this.#changed(await restoreTrashed(this.#parts, trashed, options), { kind: 'restore' });
  }

  async emptyTrash(
    which: 'expired' | 'all' | readonly string[],
    { signal }: CallOptions = {},
  ): Promise<TrashedVolume[]> {
    const all = await listTrashed(this.#parts);
    const now = new Date().toISOString();
    const chosen =
      which === 'all'
        ? all
        : which === 'expired'
          ? all.filter(({ record }) => record.expiresAt <= now)
          : which.map((one) => findTrashed(all, one));
    const gone: TrashedVolume[] = [];
    if (chosen.length > 0) await settleVolumes(this.#parts);
    for (const trashed of chosen) {
      const described = await describeTrashed(this.#parts, trashed);
      if (await deleteTrashed(this.#parts, trashed, signal)) gone.push(described);
    }
    return gone;
  }

  async reconcile(options: ReconcileOptions = {}): Promise<ReconcileReport> {
    // What the start has begun holds locks that this would pass by.
    await this.#tidying;
    return await this.#reconcile(options);
  }

  subscribe(listener: (event: VolumeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Mounts stay for those who hold them; the catalog is the caller's.
    this.#closing.abort();
    await this.#tidying;
    await this.#settling[Symbol.asyncDispose]();
    this.#listeners.clear();
  }

  /** What could not be written down is tried again with what comes next, and at the next start. */
  async #settle(): Promise<void> {
    try {
      await settleVolumes(this.#parts);
    } catch (error) {
      this.#parts.onWarning?.(
        `What was made and removed may not be on the disk: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  async #reconcile(options: ReconcileOptions): Promise<ReconcileReport> {
    return await reconcileVolumes(this.#parts, options);
  }

  async #look(record: EmbeddedVolumeRecord): Promise<Omit<VolumeHealth, 'checkedAt'>> {
    try {
      await this.#parts.folders.check(record.name);
      const { driver, volume } = await storageOf(this.#parts, record);
      const late = Promise.withResolvers<Omit<VolumeHealth, 'checkedAt'>>();
      const message = `Its storage did not answer within ${healthMs / 1000} seconds`;
      const timer = setTimeout(() => late.resolve({ status: 'unreachable', message }), healthMs);
      const isMounted = await isMountedAt(volume.mountpoint);
      const looked = driver.health(volume, { isMounted });
      return await Promise.race([looked, late.promise]).finally(() => clearTimeout(timer));
    } catch (error) {
      return { status: 'failed', message: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Only what the request says can disagree; options are compared as the driver keeps them. */
  async #requireAgreement(spec: VolumeSpec, record: EmbeddedVolumeRecord): Promise<void> {
    await this.#parts.folders.check(record.name);
    const driver = spec.driver === 'holdfast' ? 'local' : spec.driver;
    const options = await keptOptions(this.#parts, {
      name: record.name,
      driver: driver === '' ? 'local' : driver,
      options: spec.options,
    });
    const volume = this.#toVolume(record, { mountIds: [], isMounted: false, isProtected: false });
    const differences = volumeDifferences({ ...spec, driver, options }, volume);
    if (differences.length === 0) return;
    throw new AppError('conflict', `Cannot create volume "${record.name}": it exists and differs`, {
      detail: differences.join('\n'),
      hint: 'Choose another name, or ask for the volume as it is.',
    });
  }

  async #require(name: string, action: string): Promise<ManagedVolume> {
    const record = requireRecord(this.#parts, { name, action });
    return await this.#describe(record, isPlain(record) ? [] : await readMounts());
  }

  async #describe(record: EmbeddedVolumeRecord, mounts: readonly MountPoint[]): Promise<ManagedVolume> {
    const { catalog } = this.#parts;
    return this.#toVolume(record, {
      mountIds: liveIds(catalog.volumes.listHolds(record.name)),
      isMounted: await this.#isMounted(record, mounts),
      isProtected: catalog.volumes.isProtected(catalog.stateId(), record.name),
    });
  }

  async #isMounted(record: EmbeddedVolumeRecord, mounts: readonly MountPoint[]): Promise<boolean> {
    if (isPlain(record)) return true;
    const { traits, volume } = await storageOf(this.#parts, record);
    return !traits.isMounted || mountAt(mounts, fromText(volume.mountpoint)) !== undefined;
  }

  /** Of a plain volume that nobody holds or protects: the same as long as its record is. */
  #idle(record: EmbeddedVolumeRecord): ManagedVolume {
    const known = this.#idleOnes.get(record);
    if (known !== undefined) return known;
    const volume = this.#toVolume(record, { mountIds: [], isMounted: true, isProtected: false });
    this.#idleOnes.set(record, volume);
    return volume;
  }

  #toVolume(
    record: EmbeddedVolumeRecord,
    state: Pick<ManagedVolume, 'mountIds' | 'isMounted' | 'isProtected'>,
  ): ManagedVolume {
    const { name, driver, createdAt, labels, options, anonymous } = record;
    return {
      name,
      driver,
      kind: kindOf(record),
      mountpoint: this.#parts.folders.dataPath(name),
      createdAt,
      labels,
      options,
      scope: 'local',
      anonymous,
      stack: labels['com.docker.compose.project'],
      consumers: [],
      ...state,
    };
  }

  async #changed(name: string, event: Pick<VolumeEvent, 'kind' | 'from'>): Promise<ManagedVolume> {
    const volume = await this.#require(name, 'find');
    this.#tell({ ...event, volume });
    return volume;
  }

  async #emit(name: string, event: Omit<VolumeEvent, 'at' | 'volume'>): Promise<void> {
    if (this.#listeners.size === 0) return;
    const volume = await this.find(name);
    if (volume !== undefined) this.#tell({ ...event, volume });
  }

  #tell(event: Omit<VolumeEvent, 'at'>): void {
    const whole = { ...event, at: new Date().toISOString() };
    for (const listener of this.#listeners) listener(whole);
  }
}
