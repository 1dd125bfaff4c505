import { type ByteString, toPrintable } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { type BlobIndex, loadBlobIndex } from './blob-index/blob-index.ts';
import { KnownIndex } from './blob-index/known-index.ts';
import type { CopyOptions, CopyReport } from './copy/copy-types.ts';
import type { MasterKey } from './crypto/seal.ts';
import type { RepositoryConfig } from './format/config-file.ts';
import type { FileCodec } from './format/repository-file.ts';
import type * as keys from './keys/manage-keys.ts';
import { operations } from './operations.ts';
import type { LockedContext } from './save/save-scheduler.ts';
import { lockForReading, lockRepository, noLock } from './lock.ts';
import type { PruneSummary } from './prune/prune-types.ts';
import { BlobReader } from './read/blob-reader.ts';
import { findInSnapshot } from './read/find-in-snapshot.ts';
import { readEntry } from './read/read-entry.ts';
import { listDumps } from './read/list-dumps.ts';
import { walkEntries } from './read/walk-entries.ts';
import type {
  IndexRepairOptions,
  IndexRepairReport,
  PackRepairOptions,
  PackRepairReport,
  RepairOptions,
  SnapshotRepairOptions,
  SnapshotRepairReport,
} from './repair/repair-types.ts';
import type { RepairWork } from './repair/repair-work.ts';
import { saveDump } from './save/save-dump.ts';
import type { RepositoryStats } from './stats/stats-types.ts';
import { explainingSystemErrors } from './restore/explain-target-errors.ts';
import type { RestoreWorkers } from './restore/restore-workers.ts';
import { restoreRequest } from './restore/restore-request.ts';
import type { StoreAddress } from './stores/open-store.ts';
import type {
  CheckOptions,
  CheckReport,
  DumpStream,
  FindOptions,
  ListOptions,
  PruneOptions,
  RemoveKeyOptions,
  RemoveSnapshotsOptions,
  Repository,
  RepositoryKey,
  RestoreOptions,
  RestoreResult,
  SaveOptions,
  SaveResult,
  SnapshotEntry,
  StatsOptions,
  StillMoment,
  StoredDump,
  TagChange,
  UnlockOptions,
  UnlockReport,
  WalkOptions,
  WorkOptions,
} from './types.ts';

export interface ResticRepositoryParts {
  readonly codec: FileCodec;
  readonly address: StoreAddress;
  readonly masterKey: MasterKey;
  readonly config: RepositoryConfig;
  /** The key that opened it. */
  readonly keyId?: string;
  /** Workers for the first restore, started already. */
  readonly workers?: RestoreWorkers | undefined;
}

type Saving = Awaited<ReturnType<typeof operations.save>>;

/** An open repository. Each operation takes the lock that it needs and reads the index anew. */
export class ResticRepository implements Repository {
  readonly id: string;
  readonly location: string;
  readonly polynomial: bigint;
  readonly #parts: ResticRepositoryParts;
  #keyId: string | undefined;
  readonly #index: KnownIndex;
  #workers: RestoreWorkers | undefined;

  constructor(parts: ResticRepositoryParts) {
    this.#parts = parts;
    this.#keyId = parts.keyId;
    this.#workers = parts.workers;
    this.#index = new KnownIndex(parts.codec);
    this.id = parts.config.id;
    this.polynomial = parts.config.polynomial;
    this.location = parts.codec.store.location;
  }

  async listSnapshots(options: ListOptions = {}): Promise<Snapshot[]> {
    const { listSnapshots } = await operations.list();
    const currentIndex = (): Promise<BlobIndex> => this.#index.current(options);
    return await listSnapshots({ codec: this.#parts.codec, currentIndex }, options);
  }

  async save(options: SaveOptions): Promise<SaveResult> {
    return await this.#saving(options, (saving, context) => saving.saveSnapshot(context, options));
  }

  async saveTogether(saves: readonly SaveOptions[], moment: StillMoment): Promise<SaveResult[]> {
    const options = { signal: saves[0]?.signal };
    return await this.#saving(options, (saving, context) => saving.saveSnapshots(context, saves, moment));
  }

  async storeDump(dump: DumpStream, options: WorkOptions = {}): Promise<StoredDump> {
    return await this.#saving(options, (_, context) => saveDump(context, dump, options));
  }

  async listDumps(snapshot: Snapshot, options: WorkOptions = {}): Promise<SnapshotEntry[]> {
    const reader = new BlobReader(this.#parts.codec, await this.#index.current(options));
    return await listDumps(this.#parts.codec, { reader, snapshot }, options);
  }

  async *walk(
    snapshot: Snapshot,
    path: ByteString,
    options: WalkOptions = {},
  ): AsyncGenerator<SnapshotEntry> {
    const reader = new BlobReader(this.#parts.codec, await this.#index.current(options));
    const { inConfig } = options;
    const node = await findInSnapshot(this.#parts.codec, reader, { snapshot, path, inConfig });
    yield* walkEntries(reader, node, options);
  }

  async *readFile(
    snapshot: Snapshot,
    entry: SnapshotEntry,
    options: WorkOptions = {},
  ): AsyncGenerator<Uint8Array> {
    const reader = new BlobReader(this.#parts.codec, await this.#index.atHand(options));
    yield* readEntry(reader, { snapshot, entry }, options);
  }

  async restore(options: RestoreOptions): Promise<RestoreResult> {
    await using _lock = await lockForReading(this.#parts.codec, options);
    const [index, { restoreTree }] = await Promise.all([this.#index.current(options), operations.restore()]);
    const { codec, address, masterKey, config } = this.#parts;
    const node = await findInSnapshot(codec, new BlobReader(codec, index), options);
    const workers = this.#workers;
    this.#workers = undefined;
    const context = { codec, address, masterKey, index, workers, polynomial: config.polynomial };
    const request = restoreRequest(options, { node, isFar: address.kind !== 'local' });
    const shown = options.shownAs ?? toPrintable(options.target);
    return await explainingSystemErrors(shown, () => restoreTree(context, request));
  }

  async check(options: CheckOptions): Promise<CheckReport> {
    await using _lock = await lockForReading(this.#parts.codec, options);
    const { address, masterKey, config } = this.#parts;
    // It must see what is stored, and not what is kept of it at hand.
    const { store } = this.#parts.codec;
    const codec = { ...this.#parts.codec, store: store.direct ?? store };
    const { checkRepository } = await operations.check();
    return await checkRepository({ codec, address, masterKey, polynomial: config.polynomial }, options);
  }

  async listKeys(options: WorkOptions = {}): Promise<RepositoryKey[]> {
    const { listKeys } = await operations.keys();
    return await listKeys(this.#keyContext, options);
  }

  async keyOf(password: Uint8Array, options: WorkOptions = {}): Promise<string | undefined> {
    const { keyOf } = await operations.keys();
    return await keyOf(this.#keyContext, password, options);
  }

  async addKey(password: Uint8Array, options: WorkOptions = {}): Promise<RepositoryKey> {
    const { addKey } = await operations.keys();
    return await addKey(this.#keyContext, password, options);
  }

  async removeKey(id: string, options: RemoveKeyOptions = {}): Promise<void> {
    const { removeKey } = await operations.keys();
    this.#keyId = await removeKey(this.#keyContext, id, options);
  }

  async unlock(options: UnlockOptions): Promise<UnlockReport> {
    const { unlockRepository } = await operations.unlock();
    return await unlockRepository(this.#parts.codec, options);
  }

  async removeSnapshot(id: string, options: WorkOptions = {}): Promise<void> {
    await using _lock = await lockRepository(this.#parts.codec, { exclusive: true, signal: options.signal });
    await this.#parts.codec.store.remove('snapshots', id, options);
  }

  async removeSnapshots(ids: readonly string[], options: RemoveSnapshotsOptions = {}): Promise<void> {
    await using lock = await lockRepository(this.#parts.codec, { exclusive: true, signal: options.signal });
    const { removeSnapshots } = await operations.remove();
    await removeSnapshots({ ...this.#parts, lock }, ids, options);
  }

  async changeTags(id: string, change: TagChange, options: WorkOptions = {}): Promise<Snapshot> {
    await using lock = await lockRepository(this.#parts.codec, { exclusive: true, signal: options.signal });
    const { changeTags } = await operations.tags();
    return await changeTags({ ...this.#parts, lock }, { id, change }, options);
  }

  async *find(
    options: FindOptions,
  ): AsyncGenerator<{ readonly snapshot: Snapshot; readonly entry: SnapshotEntry }> {
    const index = await this.#index.current(options);
    const reader = new BlobReader(this.#parts.codec, index);
    const { EntryFinder } = await operations.find();
    const finder = new EntryFinder(reader, index, options);
    for (const snapshot of options.snapshots) {
      const { subtree } = await findInSnapshot(this.#parts.codec, reader, { snapshot, path: '' });
      if (subtree === undefined) continue;
      for await (const entry of finder.findBelow(subtree)) yield { snapshot, entry };
    }
  }

  async stats(options: StatsOptions): Promise<RepositoryStats> {
    await using _lock = await lockForReading(this.#parts.codec, options);
    const index = await loadBlobIndex(this.#parts.codec, options);
    const { measureGroups } = await operations.stats();
    return await measureGroups({ codec: this.#parts.codec, index }, options);
  }

  async planPrune(options: PruneOptions): Promise<PruneSummary> {
    await using _lock = await lockForReading(this.#parts.codec, options);
    const { preparePrune } = await operations.prune();
    return (await preparePrune({ ...this.#parts, ...options, lock: noLock }, options)).plan.summary;
  }

  async prune(options: PruneOptions): Promise<PruneSummary> {
    await using lock = await lockRepository(this.#parts.codec, { exclusive: true, signal: options.signal });
    // What was known of packs before may be wrong afterwards.
    this.#index.forget();
    const { applyPrune, preparePrune } = await operations.prune();
    const prepared = await preparePrune({ ...this.#parts, ...options, lock }, options);
    await applyPrune(prepared);
    return prepared.plan.summary;
  }

  async copyTo(target: Repository, options: CopyOptions = {}): Promise<CopyReport> {
    if (!(target instanceof ResticRepository))
      throw new AppError(
        'unsupported',
        `Cannot copy to "${target.location}": it is another kind of repository`,
      );
    if (target.location === this.location)
      throw new AppError('usage', `Cannot copy the repository "${this.location}" to itself`);
    target.#index.forget();
    const { copySnapshots } = await operations.copy();
    return await copySnapshots(this.#parts, target.#parts, options);
  }

  async repairIndex(options: IndexRepairOptions = {}): Promise<IndexRepairReport> {
    const { readAllPacks = false } = options;
    const { repairIndex } = await operations.repairIndex();
    return await this.#repairing(options, (work) => repairIndex(work, { readAllPacks }));
  }

  async repairPacks(options: PackRepairOptions): Promise<PackRepairReport> {
    const { repairPacks } = await operations.repairPacks();
    return await this.#repairing(options, (work) => repairPacks(work, options.packs));
  }

  async repairSnapshots(options: SnapshotRepairOptions): Promise<SnapshotRepairReport> {
    const { snapshotIds, forget } = options;
    const { repairSnapshots } = await operations.repairSnapshots();
    return await this.#repairing(options, (work) => repairSnapshots(work, { snapshotIds, forget }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workers?.[Symbol.asyncDispose]();
    await this.#parts.codec.store[Symbol.asyncDispose]?.();
  }

  async #saving<T>(
    options: WorkOptions,
    work: (saving: Saving, context: LockedContext) => Promise<T>,
  ): Promise<T> {
    await using lock = await lockRepository(this.#parts.codec, { exclusive: false, signal: options.signal });
    const { codec, address, masterKey, config } = this.#parts;
    // An index of its own: saving claims blobs in it that have no place yet. Two would take twice the memory.
    this.#index.forget();
    const [index, saving] = await Promise.all([
      loadBlobIndex(codec, { ...options, placesOf: 'trees' }),
      operations.save(),
      codec.store.removeLeftovers?.(options),
    ]);
    return await work(saving, { codec, address, masterKey, index, polynomial: config.polynomial, lock });
  }

  async #repairing<T>(options: RepairOptions, work: (parts: RepairWork) => Promise<T>): Promise<T> {
    // What was known of packs before may be wrong afterwards.
    this.#index.forget();
    const { runRepair } = await operations.repair();
    return await runRepair(this.#parts, options, work);
  }

  get #keyContext(): keys.KeyContext {
    return { ...this.#parts, keyId: this.#keyId };
  }
}
