import { type ByteString, toPrintable } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { type BlobIndex, KnownIndex, loadBlobIndex } from './blob-index/blob-index.ts';
import type {
  CopyOptions,
  CopyReport,
  IndexRepairOptions,
  IndexRepairReport,
  PackRepairOptions,
  PackRepairReport,
  PruneSummary,
  RepairOptions,
  RepositoryStats,
  SnapshotRepairOptions,
  SnapshotRepairReport,
} from './requests.ts';
import type { MasterKey } from './crypto/seal.ts';
import type { RepositoryConfig } from './format/config-file.ts';
import type { FileCodec } from './format/repository-file.ts';
import { addKey, type KeyContext, keyOf, listKeys, removeKey } from './keys/manage-keys.ts';
import type { LockedContext } from './save/save-scheduler.ts';
import { lockForReading, lockRepository, noLock, type RepositoryLock } from './lock.ts';
import { BlobReader } from './read/blob-reader.ts';
import { findInSnapshot } from './read/find-in-snapshot.ts';
import { listDumps, readEntry, walkEntries } from './read/entries.ts';
import { type RepairWork, runRepair } from './repair/repair-work.ts';
import { saveDump } from './save/save-dump.ts';
import { checkRepository } from './check/check-repository.ts';
import { copySnapshots } from './copy/copy-snapshots.ts';
import { applyPrune, preparePrune } from './prune/prune-repository.ts';
import { EntryFinder } from './read/find-entries.ts';
import { repairIndex } from './repair/repair-index.ts';
import { repairPacks } from './repair/repair-packs.ts';
import { repairSnapshots } from './repair/repair-snapshots.ts';
import { restoreTree } from './restore/restore-tree.ts';
import { beginSave, saveAlone } from './save/save-session.ts';
import { changeTags, listSnapshots, removeSnapshots } from './snapshots/snapshots.ts';
import { measureGroups } from './stats/measure-groups.ts';
import { unlockRepository } from './unlock.ts';
import { explainingSystemErrors, restoreRequest } from './restore/restore-request.ts';
import type { RestoreWorkers } from './restore/restore-workers.ts';
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
  SaveSession,
  SaveSessionOptions,
  SnapshotEntry,
  StatsOptions,
  StoredDump,
  TagChange,
  TreeToSave,
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
  /** The key that opened the repository. */
  readonly keyId?: string;
  /** Workers for the first restore, already started. */
  readonly workers?: RestoreWorkers | undefined;
}

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
    const currentIndex = (): Promise<BlobIndex> => this.#index.current(options);
    return await listSnapshots({ codec: this.#parts.codec, currentIndex }, options);
  }

  async save(options: SaveOptions): Promise<SaveResult> {
    return await saveAlone(await this.#openForSaving(options), options);
  }

  async beginSave(trees: readonly TreeToSave[], options: SaveSessionOptions = {}): Promise<SaveSession> {
    return await beginSave(await this.#openForSaving(options), trees, options);
  }

  async storeDump(dump: DumpStream, options: WorkOptions = {}): Promise<StoredDump> {
    const context = await this.#openForSaving(options);
    await using _lock = context.lock;
    return await saveDump(context, dump, options);
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
    const index = await this.#index.current(options);
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
    // A check must read the store itself, not the cache.
    const { store } = this.#parts.codec;
    const codec = { ...this.#parts.codec, store: store.direct ?? store };
    return await checkRepository({ codec, address, masterKey, polynomial: config.polynomial }, options);
  }

  async listKeys(options: WorkOptions = {}): Promise<RepositoryKey[]> {
    return await listKeys(this.#keyContext, options);
  }

  async keyOf(password: Uint8Array, options: WorkOptions = {}): Promise<string | undefined> {
    return await keyOf(this.#keyContext, password, options);
  }

  async addKey(password: Uint8Array, options: WorkOptions = {}): Promise<RepositoryKey> {
    return await addKey(this.#keyContext, password, options);
  }

  async removeKey(id: string, options: RemoveKeyOptions = {}): Promise<void> {
    this.#keyId = await removeKey(this.#keyContext, id, options);
  }

  async unlock(options: UnlockOptions): Promise<UnlockReport> {
    return await unlockRepository(this.#parts.codec, options);
  }

  async removeSnapshot(id: string, options: WorkOptions = {}): Promise<void> {
    await using _lock = await lockRepository(this.#parts.codec, { exclusive: true, signal: options.signal });
    await this.#parts.codec.store.remove('snapshots', id, options);
  }

  async removeSnapshots(ids: readonly string[], options: RemoveSnapshotsOptions = {}): Promise<void> {
    await using lock = await lockRepository(this.#parts.codec, { exclusive: true, signal: options.signal });
    await removeSnapshots({ ...this.#parts, lock }, ids, options);
  }

  async changeTags(id: string, change: TagChange, options: WorkOptions = {}): Promise<Snapshot> {
    await using lock = await lockRepository(this.#parts.codec, { exclusive: true, signal: options.signal });
    return await changeTags({ ...this.#parts, lock }, { id, change }, options);
  }

  async *find(
    options: FindOptions,
  ): AsyncGenerator<{ readonly snapshot: Snapshot; readonly entry: SnapshotEntry }> {
    const index = await this.#index.current(options);
    const reader = new BlobReader(this.#parts.codec, index);
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
    return await measureGroups({ codec: this.#parts.codec, index }, options);
  }

  async planPrune(options: PruneOptions): Promise<PruneSummary> {
    await using _lock = await lockForReading(this.#parts.codec, options);
    return (await preparePrune({ ...this.#parts, ...options, lock: noLock }, options)).plan.summary;
  }

  async prune(options: PruneOptions): Promise<PruneSummary> {
    await using lock = await lockRepository(this.#parts.codec, { exclusive: true, signal: options.signal });
    // Cached knowledge of packs may be wrong afterwards.
    this.#index.forget();
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
    return await copySnapshots(this.#parts, target.#parts, options);
  }

  async repairIndex(options: IndexRepairOptions = {}): Promise<IndexRepairReport> {
    const { readAllPacks = false } = options;
    return await this.#repairing(options, (work) => repairIndex(work, { readAllPacks }));
  }

  async repairPacks(options: PackRepairOptions): Promise<PackRepairReport> {
    return await this.#repairing(options, (work) => repairPacks(work, options.packs));
  }

  async repairSnapshots(options: SnapshotRepairOptions): Promise<SnapshotRepairReport> {
    const { snapshotIds, forget } = options;
    return await this.#repairing(options, (work) => repairSnapshots(work, { snapshotIds, forget }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workers?.[Symbol.asyncDispose]();
    await this.#parts.codec.store[Symbol.asyncDispose]?.();
  }

  /** The caller disposes the lock. */
  async #openForSaving(options: WorkOptions): Promise<LockedContext & { readonly lock: RepositoryLock }> {
    await using opened = new AsyncDisposableStack();
    const { codec, address, masterKey, config } = this.#parts;
    const lock = opened.use(await lockRepository(codec, { exclusive: false, signal: options.signal }));
    // Saving needs its own index, since it claims blobs that have no place yet. Keeping both would double the
    // memory.
    this.#index.forget();
    const [index] = await Promise.all([
      loadBlobIndex(codec, { ...options, placesOf: 'trees' }),
      codec.store.removeLeftovers?.(options),
    ]);
    opened.move();
    return { codec, address, masterKey, index, polynomial: config.polynomial, lock };
  }

  async #repairing<T>(options: RepairOptions, work: (parts: RepairWork) => Promise<T>): Promise<T> {
    // Cached knowledge of packs may be wrong afterwards.
    this.#index.forget();
    return await runRepair(this.#parts, options, work);
  }

  get #keyContext(): KeyContext {
    return { ...this.#parts, keyId: this.#keyId };
  }
}
