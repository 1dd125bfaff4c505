import type { DatabaseSync } from 'node:sqlite';
import type {
  BenchmarkRecord,
  Catalog,
  ManagedVolumeRecord,
  EssentialMemory,
  LineageOrigin,
  PolicyMemory,
  LogAnchor,
  NoticeRecord,
  RepositoryFinding,
  RepositoryRecord,
  RepositoryState,
  RunRecord,
  UnsettledMemory,
  UnwrittenLog,
  UsageMemory,
  VerifiedSnapshots,
  VerifiedVolume,
  VolumeMemory,
} from './catalog.ts';
import { listBenchmarks, recordBenchmark } from './benchmarks.ts';
import { listRepositoryStates, noteRepository } from './repository-states.ts';
import {
  addManagedVolume,
  findManagedVolume,
  listManagedVolumes,
  removeManagedVolume,
} from './managed-volumes.ts';
import { hasWritten, isFresh, readEssentials, restoreEssentials } from './essentials.ts';
import {
  findLogAnchor,
  findNotice,
  findUnwrittenLog,
  listRuns,
  listVerifiedSnapshots,
  noteUnwrittenLog,
  noteVerifiedSnapshots,
  recordRun,
  removeNotice,
  renameVerifiedSnapshot,
  saveNotice,
  setLogAnchor,
  setVerifiedSnapshots,
} from './runs.ts';
import { openDatabase, type OpenDatabaseOptions } from './open-database.ts';
import { listRepositories, removeRepository, saveRepository } from './repositories.ts';
import { sqlitePolicyMemory } from './sqlite-policy-memory.ts';
import { type Row, text } from './row-fields.ts';
import { QuickCommits } from './quick-commits.ts';
import { catalogError } from './sqlite-errors.ts';
import { inTransaction, WhileUnchanged } from './transaction.ts';
import { sqliteUnsettledMemory } from './unsettled-memory.ts';
import { sqliteUsageMemory } from './usage-memory.ts';
import { sqliteVolumeMemory } from './volume-memory.ts';
import {
  continueLineage,
  findContinued,
  findVolumeIdentity,
  listTakenOver,
  moveVolumeIdentity,
  setVolumeIdentity,
  takeOverLineage,
} from './volume-identities.ts';

/**
 * Opens the catalog in the file `path`, and creates it, with its folder, when it is missing; `:memory:` for
 * one that lives as long as it is open. Several processes may have it open and write at once.
 *
 * Throws `unsupported` for a catalog of a newer Holdfast, `integrity` for a damaged one or another program's
 * file, and `denied`, `read-only`, `full` and `locked` for file system errors.
 */
export function openSqliteCatalog(path: string, options: OpenDatabaseOptions = {}): Catalog {
  try {
    return new SqliteCatalog(openDatabase(path, options), path);
  } catch (error) {
    throw catalogError(error, path);
  }
}

class SqliteCatalog implements Catalog {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #quick: QuickCommits;
  readonly #listed = new WhileUnchanged(listManagedVolumes);
  #stateId: string | undefined;
  readonly essentials: EssentialMemory;
  readonly policies: PolicyMemory;
  readonly volumes: VolumeMemory;
  readonly unsettled: UnsettledMemory;
  readonly usage: UsageMemory;

  constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#path = path;
    this.essentials = {
      read: () => this.#run(readEssentials),
      restore: (essentials) => {
        this.#stateId = undefined;
        return this.#run((open) => restoreEssentials(open, essentials));
      },
      isFresh: () => this.#run(isFresh),
      hasWritten: () => this.#run(hasWritten),
    };
    this.policies = sqlitePolicyMemory((operation) => this.#run(operation));
    this.volumes = sqliteVolumeMemory((operation) => this.#run(operation));
    this.usage = sqliteUsageMemory((operation) => this.#run(operation));
    this.#quick = new QuickCommits(database, path);
    this.unsettled = sqliteUnsettledMemory((operation) => this.#run(operation), this.#quick);
  }

  stateId(): string {
    return (this.#stateId ??= this.#run((database) => {
      const row: Row = database.prepare('SELECT id FROM state').get() ?? {};
      return text(row, 'id');
    }));
  }

  listRepositories(): RepositoryRecord[] {
    return this.#run(listRepositories);
  }

  saveRepository(record: RepositoryRecord): void {
    this.#run((database) => saveRepository(database, record));
  }

  removeRepository(name: string): void {
    this.#run((database) => removeRepository(database, name));
  }

  volumeIdentity(hostIdentity: string, name: string): string | undefined {
    return this.#run((database) => findVolumeIdentity(database, { hostIdentity, name }));
  }

  setVolumeIdentity(hostIdentity: string, name: string, identity: string): void {
    this.#run((database) => setVolumeIdentity(database, { hostIdentity, name, identity }));
  }

  moveVolumeIdentity(
    hostIdentity: string,
    move: { readonly from: string; readonly to: string; readonly next: string },
  ): void {
    this.#change((database) => moveVolumeIdentity(database, { hostIdentity, ...move }));
  }

  takeOverLineage(hostIdentity: string, name: string, origin: LineageOrigin): void {
    this.#change((database) => takeOverLineage(database, { hostIdentity, name, origin }));
  }

  listTakenOver(): string[] {
    return this.#run(listTakenOver);
  }

  continueLineage(hostIdentity: string, name: string, own: string, origin: LineageOrigin): void {
    this.#change((database) => continueLineage(database, { hostIdentity, name, own, origin }));
  }

  continuedLineage(identity: string): LineageOrigin | undefined {
    return this.#run((database) => findContinued(database, identity));
  }

  listVerifiedSnapshots(repositoryId: string): string[] {
    return this.#run((database) => listVerifiedSnapshots(database, repositoryId));
  }

  setVerifiedSnapshots(repositoryId: string, verified: VerifiedSnapshots): void {
    this.#run((database) => setVerifiedSnapshots(database, repositoryId, verified));
  }

  noteVerifiedSnapshots(
    repositoryId: string,
    found: VerifiedSnapshots & { readonly damagedIds: readonly string[] },
  ): void {
    this.#run((database) => noteVerifiedSnapshots(database, repositoryId, found));
  }

  renameVerifiedSnapshot(repositoryId: string, ids: { readonly from: string; readonly to: string }): void {
    this.#run((database) => renameVerifiedSnapshot(database, repositoryId, ids));
  }

  listVerifiedVolumes(): VerifiedVolume[] {
    return this.#run(listVerifiedVolumes);
  }

  noteRepository(repositoryId: string, finding: RepositoryFinding): void {
    this.#change((database) => noteRepository(database, repositoryId, finding));
  }

  listRepositoryStates(): RepositoryState[] {
    return this.#run(listRepositoryStates);
  }

  recordBenchmark(benchmark: BenchmarkRecord): void {
    this.#change((database) => recordBenchmark(database, benchmark));
  }

  listBenchmarks(filter: {
    readonly volumeIdentity: string;
    readonly profile: string;
    readonly limit: number;
  }): BenchmarkRecord[] {
    return this.#run((database) => listBenchmarks(database, filter));
  }

  recordRun(run: RunRecord): void {
    this.#run((database) => recordRun(database, run));
  }

  listRuns(filter: { readonly volumeIdentity?: string; readonly limit: number }): RunRecord[] {
    return this.#run((database) => listRuns(database, filter));
  }

  logAnchor(): LogAnchor | undefined {
    return this.#run(findLogAnchor);
  }

  setLogAnchor(anchor: LogAnchor): void {
    this.#run((database) => inTransaction(database, () => setLogAnchor(database, anchor)));
  }

  unwrittenLog(): UnwrittenLog | undefined {
    return this.#run(findUnwrittenLog);
  }

  noteUnwrittenLog(unwritten: UnwrittenLog): void {
    this.#run((database) => noteUnwrittenLog(database, unwritten));
  }

  findNotice(key: string): NoticeRecord | undefined {
    return this.#run((database) => findNotice(database, key));
  }

  saveNotice(notice: NoticeRecord): void {
    this.#run((database) => saveNotice(database, notice));
  }

  removeNotice(key: string): void {
    this.#run((database) => removeNotice(database, key));
  }

  listManagedVolumes(): readonly ManagedVolumeRecord[] {
    return this.#run((database) => this.#listed.of(database));
  }

  findManagedVolume(name: string): ManagedVolumeRecord | undefined {
    return this.#run((database) => findManagedVolume(database, name));
  }

  addManagedVolume(record: ManagedVolumeRecord): boolean {
    return this.#run((database) => addManagedVolume(database, record));
  }

  removeManagedVolume(name: string): void {
    this.#run((database) => removeManagedVolume(database, name));
  }

  [Symbol.dispose](): void {
    this.#quick[Symbol.dispose]();
    if (this.#database.isOpen) this.#database.close();
  }

  /** The same in one transaction. */
  #change<T>(operation: (database: DatabaseSync) => T): T {
    return this.#run((database) => inTransaction(database, () => operation(database)));
  }

  /** The one place that turns SQLite's errors into the user's. */
  #run<T>(operation: (database: DatabaseSync) => T): T {
    try {
      return operation(this.#database);
    } catch (error) {
      throw catalogError(error, this.#path);
    }
  }
}

/** By the runs that saved the verified snapshots: the list of verified ones has no volumes. */
function listVerifiedVolumes(database: DatabaseSync): VerifiedVolume[] {
  return database
    .prepare(
      `SELECT run.volume_identity, run.repository_id, max(verified_at) AS verified_at
       FROM verified_snapshot JOIN run ON run.snapshot_id = verified_snapshot.snapshot_id
         AND run.repository_id = verified_snapshot.repository_id
       GROUP BY run.volume_identity, run.repository_id`,
    )
    .all()
    .map((row) => ({
      volumeIdentity: text(row, 'volume_identity'),
      repositoryId: text(row, 'repository_id'),
      verifiedAt: text(row, 'verified_at'),
    }));
}
