import { isAppError } from '../../model/errors.ts';
import { loadBlobIndex } from '../blob-index/blob-index.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { loadSnapshot, saveSnapshot, type SnapshotJson, snapshotOf } from '../format/snapshot-file.ts';
import { lockForReading, lockRepository, type RepositoryLock } from '../lock.ts';
import type { CopiedSnapshot, CopyOptions, CopyReport, FailedCopy } from '../requests.ts';
import { PackRecorder } from '../save/pack-recorder.ts';
import type { StoreAddress } from '../stores/open-store.ts';
import { BlobCopier } from './blob-copier.ts';
import { Transfer } from './transfer.ts';
import { TreeCrawler } from './tree-crawler.ts';

/** The source or the target. */
interface CopySide {
  readonly codec: FileCodec;
  readonly address: StoreAddress;
  readonly masterKey: MasterKey;
}

/**
 * Copies snapshots into another repository. Data that the target has is not copied again; a snapshot that
 * needs something damaged or missing is reported, and not recorded. After a kill every recorded snapshot is
 * complete, and copied data is not copied again.
 */
export async function copySnapshots(
  source: CopySide,
  target: CopySide,
  options: CopyOptions,
): Promise<CopyReport> {
  const { signal, dryRun = false } = options;
  await using _sourceLock = await lockForReading(source.codec, { signal });
  await using targetLock = dryRun
    ? await lockForReading(target.codec, { signal })
    : await lockRepository(target.codec, { exclusive: false, signal });
  const wanted = await loadRecords(source.codec, options);
  const there = await loadRecords(target.codec, { signal });
  const plan = planCopy(wanted.records, there.records);
  const present = plan.present.map(({ id, json, newId }) => ({ ...nameOf(id, json), newId }));
  const report = {
    dryRun,
    present,
    copied: [] as CopiedSnapshot[],
    failed: wanted.failed,
    blobs: 0,
    bytes: 0,
  };
  if (dryRun || targetLock === undefined || plan.copy.length === 0) {
    const copied = plan.copy.map(([id, json]) => ({ ...nameOf(id, json), newId: undefined }));
    return { ...report, copied };
  }
  const newIds = new Map(plan.present.map(({ id, newId }) => [id, newId]));
  const work: CopyWork = { source, target, targetLock, options, newIds };
  const done = await copyAll(work, plan.copy);
  return { ...report, ...done, failed: [...wanted.failed, ...done.failed] };
}

interface Loaded {
  readonly records: Map<string, SnapshotJson>;
  readonly failed: FailedCopy[];
}

async function loadRecords(
  codec: FileCodec,
  { snapshotIds, signal }: Pick<CopyOptions, 'snapshotIds' | 'signal'>,
): Promise<Loaded> {
  const records = new Map<string, SnapshotJson>();
  const failed: FailedCopy[] = [];
  const ids = snapshotIds ?? (await codec.store.list('snapshots', { signal })).map(({ name }) => name);
  for (const id of ids) {
    try {
      records.set(id, await loadSnapshot(codec, id, { signal }));
    } catch (error) {
      // Otherwise another process removed it after the listing.
      if (isAppError(error, 'integrity')) failed.push({ id, name: '', time: '', message: error.message });
      else if (!isAppError(error, 'not-found')) throw error;
    }
  }
  return { records, failed };
}

function nameOf(id: string, json: SnapshotJson): Omit<CopiedSnapshot, 'newId'> {
  const { name, time } = snapshotOf(id, json);
  return { id, name, time };
}

interface CopyWork {
  readonly source: CopySide;
  readonly target: CopySide;
  readonly targetLock: RepositoryLock;
  readonly options: CopyOptions;
  /** The ids in the target of the copied snapshots, by their ids in the source. */
  readonly newIds: Map<string, string>;
}

type Entry = readonly [id: string, json: SnapshotJson];

type Done = Pick<CopyReport, 'copied' | 'failed' | 'blobs' | 'bytes'>;

async function copyAll(work: CopyWork, entries: readonly Entry[]): Promise<Done> {
  const { source, target, options } = work;
  const [index, targetIndex] = await Promise.all([
    loadBlobIndex(source.codec, { signal: options.signal, onDamaged: () => undefined }),
    loadBlobIndex(target.codec, { signal: options.signal, placesOf: 'trees' }),
    target.codec.store.removeLeftovers?.(options),
  ]);
  const recorder = new PackRecorder(target.codec, work.targetLock);
  await using transfer = new Transfer({
    source: { store: source.address, masterKey: source.masterKey },
    target: { store: target.address, masterKey: target.masterKey },
    dryRun: false,
    onPack: (pack) => recorder.add(pack),
  });
  const tell = new ProgressTeller(options, entries.length);
  const copier = new BlobCopier({
    transfer,
    targetTables: targetIndex.tables,
    onBytes: () => tell.bytes(copier.bytes),
  });
  const crawler = new TreeCrawler({
    codec: source.codec,
    index,
    signal: options.signal,
    onBlob: (packId, blob) => copier.add(packId, blob),
    breathe: () => copier.breathe(),
  });
  const copying = new SnapshotCopying(work, { copier, crawler, recorder, tell });
  try {
    for (const entry of entries) await copying.add(entry);
    await copying.record();
  } catch (error) {
    // The user must see the original error; finishing here only saves work for the next run.
    if (isAppError(error, 'cancelled')) await copier.finish().catch(() => undefined);
    await recorder.finish().catch(() => undefined);
    throw error;
  }
  return { copied: copying.copied, failed: copying.failed, blobs: copier.copied, bytes: copier.bytes };
}

interface CopyTools {
  readonly copier: BlobCopier;
  readonly crawler: TreeCrawler;
  readonly recorder: PackRecorder;
  readonly tell: ProgressTeller;
}

/** Snapshots are recorded at most this often, so that small ones share packs. */
const recordEveryMs = 30_000;
const recordEveryBytes = 512 * 1024 * 1024;

/** Copies snapshots in turn, and records each when everything that it needs is durable. */
class SnapshotCopying {
  readonly #work: CopyWork;
  readonly #tools: CopyTools;
  readonly copied: CopiedSnapshot[] = [];
  readonly failed: FailedCopy[] = [];
  #waiting: Entry[] = [];
  #knownLost = 0;
  #lastMs = performance.now();
  #lastBytes = 0;

  constructor(work: CopyWork, tools: CopyTools) {
    this.#work = work;
    this.#tools = tools;
  }

  async add(entry: Entry): Promise<void> {
    if (await this.#isWhole(entry)) this.#waiting.push(entry);
    const { copier } = this.#tools;
    const isDue =
      performance.now() - this.#lastMs >= recordEveryMs || copier.bytes - this.#lastBytes >= recordEveryBytes;
    if (isDue) await this.record();
  }

  /** On return, everything added is durable and recorded, or reported as failed. */
  async record(): Promise<void> {
    const { copier, crawler, recorder, tell } = this.#tools;
    await copier.finish();
    await recorder.finish();
    const waiting = this.#waiting;
    this.#waiting = [];
    const isAnyLost = copier.lost.size > this.#knownLost;
    this.#knownLost = copier.lost.size;
    // Which snapshots need the lost blobs is not known, so their trees are read once more.
    if (isAnyLost) crawler.forget();
    for (const entry of waiting) {
      if (isAnyLost && !(await this.#isWhole(entry))) continue;
      await this.#save(entry);
      tell.snapshots(this.copied.length + this.failed.length);
    }
    this.#lastMs = performance.now();
    this.#lastBytes = copier.bytes;
  }

  async #isWhole([id, json]: Entry): Promise<boolean> {
    try {
      await this.#tools.crawler.crawl(json.tree);
      return true;
    } catch (error) {
      if (!isAppError(error, 'integrity')) throw error;
      this.failed.push({ ...nameOf(id, json), message: error.message });
      return false;
    }
  }

  async #save([id, json]: Entry): Promise<void> {
    const { target, targetLock, newIds } = this.#work;
    await targetLock.assertHeld();
    const { parent, ...rest } = json;
    const newParent = parent === undefined ? undefined : newIds.get(parent);
    const newId = await saveSnapshot(target.codec, {
      ...rest,
      ...(newParent !== undefined && { parent: newParent }),
      original: json.original ?? id,
    });
    newIds.set(id, newId);
    this.copied.push({ ...nameOf(id, json), newId });
  }
}

class ProgressTeller {
  readonly #options: CopyOptions;
  readonly #total: number;
  #snapshots = 0;
  #bytes = 0;

  constructor(options: CopyOptions, total: number) {
    this.#options = options;
    this.#total = total;
  }

  snapshots(done: number): void {
    this.#snapshots = done;
    this.#tell();
  }

  bytes(done: number): void {
    this.#bytes = done;
    this.#tell();
  }

  #tell(): void {
    this.#options.onProgress?.({
      phase: 'copying snapshots',
      filesDone: this.#snapshots,
      filesTotal: this.#total,
      bytesDone: this.#bytes,
      bytesTotal: undefined,
      current: undefined,
    });
  }
}

type SnapshotRecords = ReadonlyMap<string, SnapshotJson>;

interface CopyPlan {
  /** Oldest first. */
  readonly copy: readonly (readonly [id: string, json: SnapshotJson])[];
  readonly present: readonly { readonly id: string; readonly json: SnapshotJson; readonly newId: string }[];
}

/**
 * Finds the snapshots that the target already has, by restic's rule: the same origin, and otherwise equal;
 * pure.
 */
export function planCopy(source: SnapshotRecords, target: SnapshotRecords): CopyPlan {
  const byOrigin = new Map<string, string[]>();
  for (const [id, { original }] of target)
    for (const origin of new Set([id, original ?? id]))
      byOrigin.set(origin, [...(byOrigin.get(origin) ?? []), id]);
  const copy: [string, SnapshotJson][] = [];
  const present: { id: string; json: SnapshotJson; newId: string }[] = [];
  for (const [id, json] of [...source].sort(([, a], [, b]) => Date.parse(a.time) - Date.parse(b.time))) {
    const newId = byOrigin.get(json.original ?? id)?.find((other) => isAlike(json, target.get(other)));
    if (newId === undefined) copy.push([id, json]);
    else present.push({ id, json, newId });
  }
  return { copy, present };
}

/** All fields but the parent and the origin must be equal: a snapshot whose tags changed is copied again. */
function isAlike(a: SnapshotJson, b: SnapshotJson | undefined): boolean {
  return b !== undefined && essence(a) === essence(b);
}

function essence(json: SnapshotJson): string {
  const { time, tree, hostname = '', username = '', uid = 0, gid = 0, paths, excludes, tags } = json;
  const lists = [[...paths].sort(), excludes ?? [], [...(tags ?? [])].sort()];
  return JSON.stringify([Date.parse(time), tree, hostname, username, uid, gid, ...lists]);
}
