import { AppError, errorMessage } from '../../model/errors.ts';
import type { ManagedVolumeRecord } from '../../catalog/catalog.ts';
import type { VolumeSpec } from '../../model/volume.ts';
import { volumeDifferences } from '../../model/volume-difference.ts';
import type { CallOptions } from '../../hosts/host.ts';
import { takeLeases, type Work } from '../../leases/index.ts';
import type {
  EmptiedTrash,
  ManagedVolume,
  ManagedVolumes,
  MigrationSteps,
  MigrationTarget,
  NewStorage,
  ReconcileReport,
  RoomUsage,
  TrashedVolume,
  VolumeEvent,
  VolumeHealth,
  VolumeOwner,
} from './managed-volumes.ts';
import { labelVolume, ownVolume, resizeVolume, rotateVolume } from './change-volume.ts';
import { checkMigration } from './check-migration.ts';
import { createVolume, keptOptions } from './create-volume.ts';
import { type VolumeState, requireRecord, storageOf } from './volume-state.ts';
import { migrateVolume, migrateVolumeBack } from './migrate-volume.ts';
import { isMountedAt, mountVolume, unmountVolume } from './mount-volume.ts';
import { reconcileVolumes } from './reconcile.ts';
import { SettleLater } from './settle-later.ts';
import { settleVolumes } from './settle-volumes.ts';
import { renameVolume } from './rename-volume.ts';
import { removeVolume } from './remove-volume.ts';
import { restoreTrashed } from './restore-trashed.ts';
import { describeTrashed, emptyTrash, findMigratedFrom, findTrashed, listTrashed } from './trash.ts';
import { VolumeDescriptions } from './volume-descriptions.ts';

const unknownHealth: VolumeHealth = { status: 'unknown', message: undefined, checkedAt: undefined };

export interface DriverVolumesOptions {
  /** How long a removed volume stays in the trash. */
  readonly trashKeepMs: number;
  readonly onWarning?: ((message: string) => void) | undefined;
}

type ReconcileOptions = NonNullable<Parameters<ManagedVolumes['reconcile']>[0]>;

/**
 * A volume exists by its record in the catalog: its folder is made before the record, and removed before it.
 */
export class DriverVolumes implements ManagedVolumes {
  readonly #state: VolumeState;
  readonly #options: DriverVolumesOptions;
  readonly #listeners = new Set<(event: VolumeEvent) => void>();
  readonly #health = new Map<string, VolumeHealth>();
  readonly #descriptions: VolumeDescriptions;
  readonly #closing = new AbortController();
  readonly #settling: SettleLater;
  #tidying: Promise<void> | undefined;

  constructor(state: VolumeState, options: DriverVolumesOptions) {
    this.#state = state;
    this.#options = options;
    this.#descriptions = new VolumeDescriptions(this.#state);
    this.#settling = new SettleLater(() => this.#settle());
  }

  /**
   * In the background: reconciles ids and mounts, and deletes what has expired in the trash. A server that
   * hangs must not delay the start.
   */
  tidyUp(): void {
    const { signal } = this.#closing;
    const work = async (): Promise<void> => {
      await reconcileVolumes(this.#state, { signal });
      // Left by killed processes. A read-only command ends before this runs.
      this.#settling.expect();
      const { failures } = await this.emptyTrash('expired', { signal });
      for (const { error } of failures) this.#options.onWarning?.(error.message);
    };
    this.#tidying = work().catch((error: unknown) => {
      if (signal.aborted) return;
      this.#options.onWarning?.(`Volumes could not be tidied up: ${errorMessage(error)}`);
    });
  }

  async create(spec: VolumeSpec, { signal }: CallOptions = {}): Promise<ManagedVolume> {
    const { record, isNew } = await createVolume(this.#state, spec, {
      signal,
      existing: (found) => this.#requireAgreement(spec, found),
      settleSoon: () => this.#settling.ask(),
    });
    const volume = await this.#descriptions.of(record);
    if (isNew) this.#tell({ kind: 'create', volume });
    return volume;
  }

  async find(name: string): Promise<ManagedVolume | undefined> {
    const record = this.#state.catalog.findManagedVolume(name);
    return record && (await this.#descriptions.of(record));
  }

  list(): Promise<ManagedVolume[]> {
    return this.#descriptions.ofAll();
  }

  async remove(name: string, options: Parameters<ManagedVolumes['remove']>[1] = {}): Promise<void> {
    const volume = await this.#require(name, 'remove');
    const { permanent = false, losesUnsaved = false, isHeld = false, signal } = options;
    await using _lease = isHeld ? undefined : await this.#lease('remove', [name], options);
    const keepMs = permanent ? 0 : this.#options.trashKeepMs;
    const settleSoon = (): void => this.#settling.ask();
    await removeVolume(this.#state, name, { permanent, keepMs, losesUnsaved, signal, settleSoon });
    this.#health.delete(name);
    this.#tell({ kind: 'destroy', volume });
  }

  async mount(name: string, id: string, options: CallOptions = {}): Promise<string> {
    const path = await mountVolume(this.#state, { name, id }, options);
    await this.#emit(name, { kind: 'mount', id });
    return path;
  }

  async unmount(name: string, id: string, options: CallOptions = {}): Promise<void> {
    if (await unmountVolume(this.#state, { name, id }, options))
      await this.#emit(name, { kind: 'unmount', id });
  }

  async rename(name: string, to: string, options: CallOptions = {}): Promise<ManagedVolume> {
    requireRecord(this.#state, { name, action: 'rename' });
    await using _leases = await this.#lease('rename', [name, to], options);
    await renameVolume(this.#state, { name, to }, options);
    this.#health.delete(name);
    return await this.#changed(to, { kind: 'rename', from: name });
  }

  async label(
    name: string,
    labels: Readonly<Record<string, string | undefined>>,
    options: CallOptions = {},
  ): Promise<ManagedVolume> {
    await labelVolume(this.#state, { name, labels }, options);
    return await this.#changed(name, { kind: 'label' });
  }

  async protect(name: string, isProtected: boolean): Promise<ManagedVolume> {
    const { catalog } = this.#state;
    requireRecord(this.#state, { name, action: isProtected ? 'protect' : 'unprotect' });
    catalog.volumes.setProtected(catalog.stateId(), name, isProtected);
    return await this.#changed(name, { kind: 'protect' });
  }

  async resize(name: string, sizeBytes: number, options: CallOptions = {}): Promise<ManagedVolume> {
    await using _lease = await this.#lease('resize', [name], options);
    await resizeVolume(this.#state, { name, sizeBytes }, options);
    return await this.#changed(name, { kind: 'resize' });
  }

  async own(name: string, owner: VolumeOwner, options: CallOptions = {}): Promise<ManagedVolume> {
    await using _lease = await this.#lease('change the owner of', [name], options);
    await ownVolume(this.#state, { name, owner }, options);
    return await this.#require(name, 'change');
  }

  async rotate(name: string, key: string | undefined, options: CallOptions = {}): Promise<ManagedVolume> {
    await using _lease = await this.#lease('rotate the keys of', [name], options);
    await rotateVolume(this.#state, { name, key }, options);
    return await this.#require(name, 'rotate the keys of');
  }

  async checkMigration(name: string, request: NewStorage): Promise<MigrationTarget> {
    return await checkMigration(this.#state, name, request);
  }

  async migrate(
    name: string,
    storage: NewStorage,
    { steps, signal }: CallOptions & { readonly steps: MigrationSteps },
  ): Promise<ManagedVolume> {
    const { driver, options } = await this.checkMigration(name, storage);
    const request = { name, driver, options };
    const keepMs = this.#options.trashKeepMs;
    await migrateVolume(this.#state, request, { steps, signal, keepMs, volumes: this });
    this.#health.delete(name);
    return await this.#require(name, 'find');
  }

  async findMigrated(name: string): Promise<TrashedVolume | undefined> {
    const record = requireRecord(this.#state, { name, action: 'migrate' });
    const found = await findMigratedFrom(this.#state, record);
    return found && (await describeTrashed(this.#state, found));
  }

  async migrateBack(
    name: string,
    options: CallOptions & { readonly steps: Pick<MigrationSteps, 'makeStill'> },
  ): Promise<ManagedVolume> {
    await migrateVolumeBack(this.#state, name, { ...options, keepMs: this.#options.trashKeepMs });
    this.#health.delete(name);
    return await this.#require(name, 'find');
  }

  async room(name: string, { signal }: CallOptions = {}): Promise<RoomUsage | undefined> {
    const record = requireRecord(this.#state, { name, action: 'measure' });
    const { driver, traits, volume } = await storageOf(this.#state, record);
    if (traits.isMounted && !(await isMountedAt(volume.mountpoint))) return undefined;
    return await driver.usage?.(volume, { signal });
  }

  async health(name: string): Promise<VolumeHealth> {
    const record = requireRecord(this.#state, { name, action: 'look at' });
    const found = { ...(await lookAtVolume(this.#state, record)), checkedAt: new Date().toISOString() };
    this.#health.set(name, found);
    return found;
  }

  lastHealth(name: string): VolumeHealth {
    return this.#health.get(name) ?? unknownHealth;
  }

  async listTrash(): Promise<TrashedVolume[]> {
    const all = await listTrashed(this.#state);
    return await Promise.all(all.map((trashed) => describeTrashed(this.#state, trashed)));
  }

  async restoreTrash(
    which: string,
    options: CallOptions & { readonly to?: string | undefined } = {},
  ): Promise<ManagedVolume> {
    await settleVolumes(this.#state);
    const trashed = findTrashed(await listTrashed(this.#state), which);
    await using _lease = await this.#lease('restore', [options.to ?? trashed.record.name], options);
    return await this.#changed(await restoreTrashed(this.#state, trashed, options), { kind: 'restore' });
  }

  emptyTrash(which: 'expired' | 'all' | readonly string[], options: CallOptions = {}): Promise<EmptiedTrash> {
    return emptyTrash(this.#state, which, options);
  }

  async reconcile(options: ReconcileOptions = {}): Promise<ReconcileReport> {
    // The tidying at the start holds locks that this call would not wait for.
    await this.#tidying;
    return await reconcileVolumes(this.#state, options);
  }

  subscribe(listener: (event: VolumeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Mounts stay for their holders; the catalog is the caller's.
    this.#closing.abort();
    await this.#tidying;
    await this.#settling[Symbol.asyncDispose]();
    this.#listeners.clear();
  }

  #lease(work: Work, names: readonly string[], { signal }: CallOptions): Promise<AsyncDisposable> {
    const { folders, catalog } = this.#state;
    const places = names.map((name) => ({ kind: 'volume', name }) as const);
    return takeLeases({ stateDir: folders.stateDir, catalog }, { places, work }, { signal });
  }

  /** What cannot be settled now is tried again with the next call, and at the next start. */
  async #settle(): Promise<void> {
    try {
      await settleVolumes(this.#state);
    } catch (error) {
      this.#options.onWarning?.(`What was made and removed may not be on the disk: ${errorMessage(error)}`);
    }
  }

  /** Compares only what the request sets; options as the driver stores them. */
  async #requireAgreement(spec: VolumeSpec, record: ManagedVolumeRecord): Promise<void> {
    await this.#state.folders.check(record.name);
    const driver = spec.driver === 'holdfast' ? 'local' : spec.driver;
    const options = await keptOptions(this.#state, {
      name: record.name,
      driver: driver === '' ? 'local' : driver,
      options: spec.options,
    });
    const volume = this.#descriptions.with(record, { mountIds: [], isMounted: false, isProtected: false });
    const differences = volumeDifferences({ ...spec, driver, options }, volume);
    if (differences.length === 0) return;
    throw new AppError('conflict', `Cannot create volume "${record.name}": it exists and differs`, {
      detail: differences.join('\n'),
      hint: 'Choose another name, or ask for the volume as it is.',
    });
  }

  async #require(name: string, action: string): Promise<ManagedVolume> {
    return await this.#descriptions.of(requireRecord(this.#state, { name, action }));
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

type Found = Omit<VolumeHealth, 'checkedAt'>;

const patienceMs = 8000;

/** The state of a volume's storage. Errors and time-outs are part of the answer. */
async function lookAtVolume(state: VolumeState, record: ManagedVolumeRecord): Promise<Found> {
  try {
    await state.folders.check(record.name);
    const { driver, volume } = await storageOf(state, record);
    const isMounted = await isMountedAt(volume.mountpoint);
    const late = Promise.withResolvers<Found>();
    const message = `Its storage did not answer within ${patienceMs / 1000} seconds`;
    const timer = setTimeout(() => late.resolve({ status: 'unreachable', message }), patienceMs);
    const looked = driver.health(volume, { isMounted });
    return await Promise.race([looked, late.promise]).finally(() => clearTimeout(timer));
  } catch (error) {
    return { status: 'failed', message: errorMessage(error) };
  }
}
