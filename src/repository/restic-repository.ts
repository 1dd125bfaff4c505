import { type ByteString, fromText, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf, isAppError, type ErrorCode } from '../model/errors.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { type BlobIndex, loadBlobIndex } from './blob-index/blob-index.ts';
import { KnownIndex } from './blob-index/known-index.ts';
import type { CopyOptions, CopyReport } from './copy/copy-types.ts';
import type { MasterKey } from './crypto/seal.ts';
import type { RepositoryConfig } from './format/config-file.ts';
import type { TreeNode } from './format/node.ts';
import type { FileCodec } from './format/repository-file.ts';
import { describedAgain, loadSnapshot, type SnapshotJson, snapshotOf } from './format/snapshot-file.ts';
import type * as keys from './keys/manage-keys.ts';
import { operations } from './operations.ts';
import type { LockedContext } from './save/save-snapshot.ts';
import { lockForReading, lockRepository } from './lock.ts';
import type { PruneSummary } from './prune/prune-types.ts';
import { BlobReader } from './read/blob-reader.ts';
import { readDescription } from './read/read-description.ts';
import { entryOfNode } from './read/entry-of-node.ts';
import { findNode } from './read/find-node.ts';
import { HardLinks } from './read/hard-links.ts';
import { listDumps } from './read/list-dumps.ts';
import { walkTreeNodes } from './read/walk-tree.ts';
import type {
  IndexRepairOptions,
  IndexRepairReport,
  PackRepairOptions,
  PackRepairReport,
  SnapshotRepairOptions,
  SnapshotRepairReport,
} from './repair/repair-types.ts';
import { dataParts } from './save/root-tree.ts';
import { saveDump } from './save/save-dump.ts';
import type { RepositoryStats } from './stats/stats-types.ts';
import type { RestoreCrew } from './restore/restore-crew.ts';
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
  readonly crew?: RestoreCrew | undefined;
}

/** What a path of a snapshot leads to. The root of a snapshot that another program made has no node of its own. */
type Found = Pick<TreeNode, 'type' | 'subtree'> & Partial<TreeNode>;

type Saving = Awaited<ReturnType<typeof operations.save>>;

/** An open repository. Each operation takes the lock that it needs and reads the index anew. */
export class ResticRepository implements Repository {
  readonly id: string;
  readonly location: string;
  readonly polynomial: bigint;
  readonly #parts: ResticRepositoryParts;
  #keyId: string | undefined;
  readonly #index: KnownIndex;
  #crew: RestoreCrew | undefined;

  constructor(parts: ResticRepositoryParts) {
    this.#parts = parts;
    this.#keyId = parts.keyId;
    this.#crew = parts.crew;
    this.#index = new KnownIndex(parts.codec);
    this.id = parts.config.id;
    this.polynomial = parts.config.polynomial;
    this.location = parts.codec.store.location;
  }

  async listSnapshots(options: ListOptions = {}): Promise<Snapshot[]> {
    const { codec } = this.#parts;
    const snapshots: Snapshot[] = [];
    // Looked at once for all of them, and only where one needs it: what was known before may not have their blobs.
    let index: Promise<BlobIndex> | undefined;
    const currentIndex = (): Promise<BlobIndex> => (index ??= this.#index.current(options));
    for (const { name } of await codec.store.list('snapshots', options)) {
      try {
        const json = await loadSnapshot(codec, name, options);
        snapshots.push(snapshotOf(name, await this.#withDescription(json, currentIndex)));
      } catch (error) {
        if (isAppError(error, 'integrity')) options.onDamaged?.(name, error);
        // Else it was removed by another process since the listing.
        else if (!isAppError(error, 'not-found')) throw error;
      }
    }
    return snapshots.sort((a, b) => Date.parse(a.time) - Date.parse(b.time) || (a.id < b.id ? -1 : 1));
  }

  async save(options: SaveOptions): Promise<SaveResult> {
    return await this.#saving(options, (saving, context) => saving.saveSnapshot(context, options));
  }

  async saveTogether(saves: readonly SaveOptions[], moment: StillMoment): Promise<SaveResult[]> {
    const options = { signal: saves[0]?.signal };
    return await this.#saving(options, (saving, context) => saving.saveSnapshots(context, saves, moment));
  }

  async storeDump(dump: DumpStream, options: WorkOptions = {}): Promise<StoredDump> {
    await using lock = await lockRepository(this.#parts.codec, { exclusive: false, signal: options.signal });
    const { codec, address, masterKey, config } = this.#parts;
    // An index of its own, as for `save`.
    this.#index.forget();
    const index = await loadBlobIndex(codec, options);
    const context = { codec, address, masterKey, index, polynomial: config.polynomial, lock };
    return await saveDump(context, dump, options);
  }

  async listDumps(snapshot: Snapshot, options: WorkOptions = {}): Promise<SnapshotEntry[]> {
    if (snapshot.volume === undefined) return [];
    const reader = new BlobReader(this.#parts.codec, await this.#index.current(options));
    const { tree } = await loadSnapshot(this.#parts.codec, snapshot.id, options);
    return await listDumps(reader, { tree, dataParts: dataParts(snapshot.volume) }, options);
  }

  async *walk(
    snapshot: Snapshot,
    path: ByteString,
    options: WorkOptions & { readonly depth?: number } = {},
  ): AsyncGenerator<SnapshotEntry> {
    const reader = new BlobReader(this.#parts.codec, await this.#index.current(options));
    const node = await this.#find(reader, snapshot, path);
    const first = entryOfFound(node);
    if (first) yield first;
    if (node.subtree === undefined) return;
    const links = new HardLinks();
    for await (const child of walkTreeNodes(reader, node.subtree, {
      signal: options.signal,
      depth: options.depth,
    })) {
      const entry = entryOfNode(child.node, child.path, links.linkTo(child.node, child.path));
      if (entry) yield entry;
    }
  }

  async *readFile(
    snapshot: Snapshot,
    entry: SnapshotEntry,
    options: WorkOptions = {},
  ): AsyncGenerator<Uint8Array> {
    const reader = new BlobReader(this.#parts.codec, await this.#index.atHand(options));
    if (entry.type !== 'file')
      throw new AppError(
        'usage',
        `"${toPrintable(entry.path)}" in snapshot "${snapshot.id.slice(0, 8)}" is no file`,
      );
    for (let at = 0; at < entry.contentKey.length; at += 64) {
      yield await reader.read(entry.contentKey.slice(at, at + 64), 'data', options);
    }
  }

  async restore(options: RestoreOptions): Promise<RestoreResult> {
    await using _lock = await lockForReading(this.#parts.codec, options);
    const [index, { restoreTree }] = await Promise.all([this.#index.current(options), operations.restore()]);
    const { codec, address, masterKey, config } = this.#parts;
    const node = await this.#find(new BlobReader(codec, index), options.snapshot, options.path);
    const whole = options.path === '' ? options.snapshot.summary : undefined;
    const crew = this.#crew;
    this.#crew = undefined;
    const context = { codec, address, masterKey, index, crew, polynomial: config.polynomial };
    const { target, mapOwner, like, signal, onProgress } = options;
    const request = {
      node,
      target,
      mapOwner,
      like: like === undefined ? undefined : { like, copies: address.kind !== 'local' },
      signal,
      onProgress,
      expectedBytes: whole?.bytes,
      expectedFiles: whole?.files,
    };
    return await explainingSystemErrors(target, () => restoreTree(context, request));
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
      const { subtree } = await this.#find(reader, snapshot, '');
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
    // What was known of packs before may be wrong afterwards.
    this.#index.forget();
    const { readAllPacks = false } = options;
    const [{ runRepair }, { repairIndex }] = await Promise.all([
      operations.repair(),
      operations.repairIndex(),
    ]);
    return await runRepair(this.#parts, options, (work) => repairIndex(work, { readAllPacks }));
  }

  async repairPacks(options: PackRepairOptions): Promise<PackRepairReport> {
    this.#index.forget();
    const [{ runRepair }, { repairPacks }] = await Promise.all([
      operations.repair(),
      operations.repairPacks(),
    ]);
    return await runRepair(this.#parts, options, (work) => repairPacks(work, options.packs));
  }

  async repairSnapshots(options: SnapshotRepairOptions): Promise<SnapshotRepairReport> {
    this.#index.forget();
    const { snapshotIds, forget } = options;
    const [{ runRepair }, { repairSnapshots }] = await Promise.all([
      operations.repair(),
      operations.repairSnapshots(),
    ]);
    return await runRepair(this.#parts, options, (work) => repairSnapshots(work, { snapshotIds, forget }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#crew?.[Symbol.asyncDispose]();
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
      loadBlobIndex(codec, options),
      operations.save(),
      codec.store.removeLeftovers?.(options),
    ]);
    return await work(saving, { codec, address, masterKey, index, polynomial: config.polynomial, lock });
  }

  get #keyContext(): keys.KeyContext {
    return { ...this.#parts, keyId: this.#keyId };
  }

  /** A program that rewrites a snapshot, as "restic tag" does, drops the field that is ours; the tree has a copy of it. */
  async #withDescription(json: SnapshotJson, currentIndex: () => Promise<BlobIndex>): Promise<SnapshotJson> {
    const [path = '', ...others] = json.paths;
    if (json.holdfast !== undefined || others.length > 0 || !path.startsWith('/volume/')) return json;
    const reader = new BlobReader(this.#parts.codec, await currentIndex());
    const volume = await readDescription(reader, json.tree, fromText(path.slice('/volume/'.length))).catch(
      orUndefined,
    );
    return volume ? { ...json, holdfast: describedAgain(path, volume) } : json;
  }

  async #find(reader: BlobReader, snapshot: Snapshot, path: ByteString): Promise<Found> {
    const { tree } = await loadSnapshot(this.#parts.codec, snapshot.id);
    const root = snapshot.volume ? dataParts(snapshot.volume) : [];
    const parts = [...root, ...path.split('/').filter((part) => part !== '')];
    if (parts.length === 0) return { type: 'dir', subtree: tree };
    const node = await findNode(reader, tree, parts);
    if (!node)
      throw new AppError('not-found', `Snapshot "${snapshot.id.slice(0, 8)}" has no "${toPrintable(path)}"`);
    return node;
  }
}

/** For one who only looks. */
const noLock = { assertHeld: async (): Promise<void> => {} };

/** A record without its volume's description is better than none. */
function orUndefined(error: unknown): undefined {
  if (!isAppError(error, 'integrity')) throw error;
}

function entryOfFound(node: Found): SnapshotEntry | undefined {
  if (node.name !== undefined) return entryOfNode(node as TreeNode, '');
  const { subtree = '' } = node;
  return {
    path: '',
    type: 'dir',
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    size: 0,
    contentKey: subtree,
    ctimeNs: 0n,
    inode: 0n,
  };
}

const targetErrors: Readonly<Record<string, readonly [code: ErrorCode, reason: string]>> = {
  ENOSPC: ['full', 'the disk is full'],
  EDQUOT: ['full', 'the quota is used up'],
  EROFS: ['read-only', 'its file system is read-only'],
  EACCES: ['denied', 'permission denied'],
  EPERM: ['denied', 'not permitted'],
  EEXIST: ['exists', 'it is there already'],
  ENOENT: ['not-found', 'the directory above does not exist'],
};

async function explainingSystemErrors<T>(target: ByteString, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    const [meaning, reason] = targetErrors[code] ?? (['failed', code] as const);
    throw new AppError(meaning, `Cannot restore to "${toPrintable(target)}": ${reason}`, {
      detail: error instanceof Error ? toPrintable(error.message) : undefined,
      cause: error,
    });
  }
}
