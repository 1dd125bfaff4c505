import type { HostKind } from '../model/volume.ts';
import type {
  AnomalyRecord,
  ForgottenRecord,
  PolicyAction,
  PolicyCursor,
  PolicyRun,
  PolicyRunEnd,
  PolicyRunRecord,
} from '../model/policy-run.ts';

/** A known repository, by name. Secrets are references (`file:`, `env:`, `exec:`), never values. */
export interface RepositoryRecord {
  readonly name: string;
  /** An absolute directory, or a location such as `s3:https://host/bucket`. Never holds a secret. */
  readonly location: string;
  /** The id in the repository's config file, which reveals a moved or replaced repository. */
  readonly repositoryId: string;
  /** The reference to its password: `file:/path`, `env:NAME`, `exec:command`. */
  readonly passwordReference: string;
  readonly isDefault: boolean;
  /** Options of its store by name. Secrets are references here too. */
  readonly options?: Readonly<Record<string, string>> | undefined;
}

/** One backup run of one volume, as history. */
export interface RunRecord {
  readonly volumeIdentity: string;
  readonly volumeName: string;
  readonly repositoryId: string;
  /** Undefined for a run that stored no snapshot. */
  readonly snapshotId: string | undefined;
  readonly outcome: 'good' | 'partial' | 'failed' | 'cancelled';
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly message: string | undefined;
  /** How still the data was. */
  readonly grade?: string | undefined;
  /** How long containers were kept still. */
  readonly stillMs?: number | undefined;
}

/** The snapshots that a check of all data found intact. */
export interface VerifiedSnapshots {
  readonly snapshotIds: readonly string[];
  /** RFC 3339. */
  readonly verifiedAt: string;
}

/** The end of the log, so that truncation is noticed. */
export interface LogAnchor {
  readonly sequence: number;
  /** The `mac` of the entry with that number. */
  readonly mac: string;
  /** Made with the log's key, so that only its owner can move the anchor back. */
  readonly seal: string;
}

/** Entries that could not be written to the log. */
export interface UnwrittenLog {
  readonly count: number;
  /** RFC 3339. */
  readonly since: string;
}

/** A lasting problem, and its notifications. */
export interface NoticeRecord {
  /** Identifies the problem. */
  readonly key: string;
  readonly fingerprint: string;
  readonly count: number;
  /** RFC 3339, like the others. */
  readonly firstAt: string;
  readonly lastAt: string;
  readonly toldAt: string;
  /** The count at the time of the last notification. */
  readonly toldCount: number;
}

/** A volume of the embedded host. */
export interface ManagedVolumeRecord {
  readonly name: string;
  readonly driver: string;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
}

/** The origin of a lineage of snapshots. */
export interface LineageOrigin {
  /** The other machine's lineage. */
  readonly identity: string;
  /** That machine's name, for messages. */
  readonly hostName: string;
}

/** A caller that needs a volume mounted. */
export interface VolumeHold {
  readonly volume: string;
  /** Chosen by the caller. */
  readonly id: string;
  /** The kernel's boot id at that time. */
  readonly boot: string;
  /** RFC 3339. */
  readonly heldAt: string;
}

/** What is remembered of volumes besides their existence. Each call is one transaction. */
export interface VolumeMemory {
  /** Updates driver, labels and options; does nothing for a volume that is gone. */
  update(record: ManagedVolumeRecord): void;

  /** Holds of one volume, or of all, by time. */
  listHolds(volume?: string): VolumeHold[];
  /** A later hold replaces one of the same id. */
  hold(hold: VolumeHold): void;
  release(volume: string, id: string): void;

  isProtected(hostIdentity: string, name: string): boolean;
  listProtected(hostIdentity: string): string[];
  setProtected(hostIdentity: string, name: string, isProtected: boolean): void;

  /** False, without a write, when the new name is taken by a volume or by another rename. */
  beginRename(from: string, to: string): boolean;
  /**
   * In one step: the record, its protection and its lineage move to the new name, and the next volume of the
   * former name is another one. Does nothing unless the rename has begun.
   */
  endRename(from: string, hostIdentity: string): void;
  cancelRename(from: string): void;
  listRenames(): { readonly from: string; readonly to: string }[];
}

/** A volume whose directories may not be durable yet. */
export interface UnsettledVolume {
  readonly name: string;
  /** The kernel's boot id when they were created: only a reboot can have lost them. */
  readonly boot: string;
  /** Distinguishes it from a later volume of that name. */
  readonly token: string;
}

/** A removed volume whose folder may not be in the trash yet, or not durably. */
export interface VolumeRemoval {
  /** The folder's name in the trash: the volume's, a dot, and a unique part. */
  readonly entry: string;
  readonly name: string;
  /** Identifies the folder: a later one of the same name is another. */
  readonly folder: string;
  /** The content of the file beside the data in the trash. */
  readonly mark: string;
  readonly boot: string;
}

/**
 * What is committed but not complete on disk, so that it can be finished after a power cut. A beginning
 * recorded here is durable when its call returns; the end need not be, because it can be determined again.
 */
export interface UnsettledMemory {
  /** Adds a volume whose directories are not durable yet. False, without a write, when the name is taken. */
  add(record: ManagedVolumeRecord, boot: string): boolean;
  list(): UnsettledVolume[];
  find(name: string): UnsettledVolume | undefined;
  /** Records that their directories are durable. Skips volumes that are gone or replaced. */
  settle(volumes: readonly UnsettledVolume[]): void;
  /**
   * Removes the record of a volume without a folder, in one step. Keeps it if it belongs to a later volume by
   * now, or to one that was made before the boot `boot` and has not settled: that one gets its folder again.
   */
  removeMissing(volume: Pick<ManagedVolumeRecord, 'name' | 'createdAt'>, boot: string | undefined): void;
  /** On return everything begun before is durable, whichever process began it. */
  sync(): void;

  /** Replaces the record and its holds by the removal. False, without a write, when there is no record. */
  beginRemoval(removal: VolumeRemoval): boolean;
  /** Restores the record. Does nothing for a finished removal. */
  cancelRemoval(entry: string, record: ManagedVolumeRecord): void;
  /**
   * All removals, or those of one name. `madeIn` is the boot id of the creation of a volume that never
   * settled.
   */
  listRemovals(name?: string): (VolumeRemoval & { readonly madeIn: string | undefined })[];
  endRemovals(entries: readonly string[]): void;
}

export interface PolicyRunFilter {
  readonly policy?: string | undefined;
  /** Only runs that have not ended. */
  readonly open?: boolean | undefined;
  readonly limit: number;
}

/** The newest good run of a policy's task, kept longer than the history of runs. */
export interface PolicyAnswer {
  readonly policy: string;
  readonly action: PolicyAction;
  readonly repository: string;
  /** Identity of the volume or path; '' for an action on a whole repository. */
  readonly subject: string;
  /** The schedule by which it runs; undefined when it only ran by hand. */
  readonly schedule: string | undefined;
  /** The first time by that schedule that was begun. RFC 3339. */
  readonly since: string;
  readonly good:
    | {
        /** The latest due time that a good run answered. */
        readonly scheduledAt: string;
        readonly endedAt: string;
        readonly snapshotId: string | undefined;
        /** Of the run that saved the snapshot, where it is known. */
        readonly grade: string | undefined;
        readonly stillMs: number | undefined;
      }
    | undefined;
}

/** When a volume's newest verified snapshot was last read and found intact. */
export interface VerifiedVolume {
  readonly volumeIdentity: string;
  readonly repositoryId: string;
  /** RFC 3339. */
  readonly verifiedAt: string;
}

export interface BenchmarkRecord {
  readonly volumeIdentity: string;
  readonly volumeName: string;
  readonly profile: string;
  /** RFC 3339. */
  readonly ranAt: string;
  /** The measured numbers and what they were measured with, as JSON. */
  readonly result: string;
}

/** The runs of policies, and their progress. Each call is one transaction. */
export interface PolicyMemory {
  /** Records the start of a run and its policy's cursor; returns the run's number. */
  beginRun(run: PolicyRun, cursor: PolicyCursor | undefined): number;
  /** For a run that has already ended, updates only the cursor. */
  endRun(number: number, end: PolicyRunEnd, cursor: PolicyCursor | undefined): void;
  /** Newest first. */
  listRuns(filter: PolicyRunFilter): PolicyRunRecord[];
  /** One for each task that was ever begun in the last years, also by hand. */
  listAnswers(): PolicyAnswer[];

  listCursors(): PolicyCursor[];
  saveCursors(cursors: readonly PolicyCursor[]): void;

  /** Does nothing for a known one. */
  recordAnomaly(anomaly: AnomalyRecord): void;
  /** Those that no user has accepted, oldest first. */
  listOpenAnomalies(): AnomalyRecord[];
  acceptAnomalies(volumeIdentity: string, at: string): void;

  /** Keeps the newest for each volume. */
  noteForgotten(forgotten: ForgottenRecord): void;
  listForgotten(repositoryId: string): ForgottenRecord[];
  /** Keeps entries that a newer one has replaced meanwhile. */
  clearForgotten(forgotten: readonly ForgottenRecord[]): void;
}

/** A host whose volumes were measured. */
export interface UsageHost {
  readonly identity: string;
  readonly kind: HostKind;
  /** The engine's address; empty for managed volumes. Undefined where an earlier version has looked. */
  readonly endpoint: string | undefined;
  /** When all its volumes were last looked at, in milliseconds since 1970, like the other times here. */
  readonly lookedAtMs: number;
}

export interface UsagePlaceName {
  readonly kind: 'volume' | 'disk';
  /** The volume's name, or the path where the disk is mounted. */
  readonly name: string;
}

/**
 * How a size was found out: `watched` ones hold until the host was last looked at, as changes are reported;
 * the others until `measuredAtMs`.
 */
export const usageWays = ['watched', 'walked', 'streamed', 'told'] as const;

/** The last known size of a volume, or of a disk that volumes lie on. */
export interface UsagePlace extends UsagePlaceName {
  /** The lineage of a volume's snapshots. */
  readonly lineage: string | undefined;
  readonly driver: string | undefined;
  readonly stack: string | undefined;
  readonly anonymous: boolean;
  /** The disk that a volume lies on. */
  readonly disk: string | undefined;
  /** What is used; undefined when it was never measured. */
  readonly bytes: number | undefined;
  readonly files: number | undefined;
  /** Of a disk. */
  readonly capacityBytes: number | undefined;
  /** Of a disk: what programs without privileges can still use. */
  readonly freeBytes: number | undefined;
  readonly measuredAtMs: number | undefined;
  readonly way: (typeof usageWays)[number] | undefined;
  /** Why it was not measured the last time. */
  readonly problem: string | undefined;
  /** Undefined without enough history. */
  readonly growthBytesPerDay: number | undefined;
}

/** One point of a place's history. Each span of time has the last size in it. */
export interface UsageSample extends UsagePlaceName {
  /** 60, 3600 or 86400. */
  readonly spanSeconds: number;
  /** When the span begins, in seconds since 1970. */
  readonly bucketSeconds: number;
  /** When it was measured. */
  readonly atSeconds: number;
  readonly bytes: number;
}

export interface UsageWrite {
  readonly host: UsageHost;
  /** Replace what was known of them. */
  readonly places: readonly UsagePlace[];
  /** Removed with their history. */
  readonly gone: readonly UsagePlaceName[];
  /** Replace those of the same span. */
  readonly samples: readonly UsageSample[];
  /** Of these samples, this many up to a time are kept, the newest; and as many after it, the oldest. */
  readonly kept: readonly (UsagePlaceName & {
    readonly spanSeconds: number;
    readonly atSeconds: number;
    readonly rows: number;
  })[];
}

export const drillOutcomes = ['proven', 'started', 'restored', 'unproven', 'failed'] as const;

/** A drill of one volume's snapshot. */
export interface DrillRecord {
  readonly volumeIdentity: string;
  readonly outcome: (typeof drillOutcomes)[number];
  readonly snapshotId: string;
  /** RFC 3339, like the next. */
  readonly snapshotTime: string;
  readonly drilledAt: string;
  readonly recoverMs: number | undefined;
}

/** Sizes of volumes and disks, and what is known of their recovery. Each call is one transaction. */
export interface UsageMemory {
  /** The one that was looked at last comes first. */
  listHosts(): UsageHost[];
  listPlaces(hostIdentity: string): UsagePlace[];
  /** The history of a place in spans of a length from a time on, oldest first. */
  listSamples(
    hostIdentity: string,
    place: UsagePlaceName,
    wanted: { readonly spanSeconds: number; readonly fromSeconds: number },
  ): Pick<UsageSample, 'atSeconds' | 'bytes'>[];
  write(written: UsageWrite): void;

  /** The newest whole snapshot of each measured volume, by lineage, as this state folder made them. */
  newestSnapshots(): Map<string, { readonly id: string; readonly time: string }>;

  /** The last of each outcome is kept for each volume, and the newest ten thousand of all. */
  noteDrill(drill: DrillRecord): void;
  /** Oldest first. */
  listDrills(): DrillRecord[];
}

/** What was found out about a repository. */
export interface RepositoryFinding {
  /** RFC 3339. */
  readonly at: string;
  /** Of all packs. */
  readonly sizeBytes?: number | undefined;
  /** What no snapshot needs. */
  readonly unusedBytes?: number | undefined;
  readonly check?: 'good' | 'failed' | undefined;
}

/** The last of each finding, and when it was made (RFC 3339). */
export interface RepositoryState {
  readonly repositoryId: string;
  readonly sizeBytes: number | undefined;
  readonly sizeAt: string | undefined;
  readonly unusedBytes: number | undefined;
  readonly unusedAt: string | undefined;
  readonly goodCheckAt: string | undefined;
  readonly failedCheckAt: string | undefined;
}

/** The data from which a lost catalog is rebuilt. */
export interface CatalogEssentials {
  readonly stateId: string;
  readonly repositories: readonly RepositoryRecord[];
  readonly identities: readonly {
    readonly hostIdentity: string;
    readonly name: string;
    readonly identity: string;
  }[];
  /** Lineages that come from other machines; `continues` is null for those taken over. */
  readonly origins: readonly {
    readonly identity: string;
    readonly continues: string | null;
    readonly hostName: string;
  }[];
  readonly protectedVolumes: readonly { readonly hostIdentity: string; readonly name: string }[];
  readonly volumes: readonly ManagedVolumeRecord[];
  /** Anomalies that keep old data from being removed. */
  readonly anomalies: readonly AnomalyRecord[];
  readonly forgotten: readonly ForgottenRecord[];
}

export interface EssentialMemory {
  read(): CatalogEssentials;
  /** In one transaction. False, without a write, unless the catalog is fresh. */
  restore(essentials: CatalogEssentials): boolean;
  /** True while nothing has been recorded in it. */
  isFresh(): boolean;
  /** True when this program has written to it since opening it. */
  hasWritten(): boolean;
}

/**
 * Holdfast's memory between runs. Safe with several processes at once; each call is one transaction, durable
 * on return. Losing it loses no backup: repositories describe themselves.
 */
export interface Catalog extends Disposable {
  /** This state folder's own id, generated once. */
  stateId(): string;

  listRepositories(): RepositoryRecord[];
  /** Inserts or replaces by name. A record with `isDefault` takes that role from the others. */
  saveRepository(record: RepositoryRecord): void;
  removeRepository(name: string): void;

  /** The lineage of a host's volume, when it is not the one derived from host and name. */
  volumeIdentity(hostIdentity: string, name: string): string | undefined;
  setVolumeIdentity(hostIdentity: string, name: string, identity: string): void;
  /** In one step: moves a volume's lineage to its new name, and gives the former name the lineage `next`. */
  moveVolumeIdentity(
    hostIdentity: string,
    move: { readonly from: string; readonly to: string; readonly next: string },
  ): void;

  /**
   * The volume continues in a lineage that another machine began, and this machine's rules apply to all of
   * it.
   */
  takeOverLineage(hostIdentity: string, name: string, origin: LineageOrigin): void;
  listTakenOver(): string[];
  /** The volume continues in its own lineage, which begins with another machine's snapshots. */
  continueLineage(hostIdentity: string, name: string, own: string, origin: LineageOrigin): void;
  /** The lineage that this one continues. */
  continuedLineage(identity: string): LineageOrigin | undefined;

  /** Ids of the snapshots that the last check of all data in a repository found intact. */
  listVerifiedSnapshots(repositoryId: string): string[];
  /** Replaces the repository's list. */
  setVerifiedSnapshots(repositoryId: string, verified: VerifiedSnapshots): void;
  /** Adds intact snapshots to the list, and removes damaged ones. */
  noteVerifiedSnapshots(
    repositoryId: string,
    found: VerifiedSnapshots & { readonly damagedIds: readonly string[] },
  ): void;
  /** For a snapshot whose id changed with its tags; does nothing for one that is not verified. */
  renameVerifiedSnapshot(repositoryId: string, ids: { readonly from: string; readonly to: string }): void;

  listVerifiedVolumes(): VerifiedVolume[];

  /** Remembers what the finding has; what it has not stays as it was. */
  noteRepository(repositoryId: string, finding: RepositoryFinding): void;
  listRepositoryStates(): RepositoryState[];

  /** Keeps the newest few hundred of each volume. */
  recordBenchmark(benchmark: BenchmarkRecord): void;
  /** Newest first. */
  listBenchmarks(filter: {
    readonly volumeIdentity: string;
    readonly profile: string;
    readonly limit: number;
  }): BenchmarkRecord[];

  recordRun(run: RunRecord): void;
  /** Newest first. */
  listRuns(filter: { readonly volumeIdentity?: string; readonly limit: number }): RunRecord[];

  logAnchor(): LogAnchor | undefined;
  /** Records that the log is written up to here: no entry is unwritten from then on. */
  setLogAnchor(anchor: LogAnchor): void;
  unwrittenLog(): UnwrittenLog | undefined;
  /** Adds to the count; keeps the time of the first. */
  noteUnwrittenLog(unwritten: UnwrittenLog): void;

  findNotice(key: string): NoticeRecord | undefined;
  saveNotice(notice: NoticeRecord): void;
  removeNotice(key: string): void;

  readonly essentials: EssentialMemory;
  readonly policies: PolicyMemory;
  readonly volumes: VolumeMemory;
  readonly unsettled: UnsettledMemory;
  readonly usage: UsageMemory;

  /** Sorted by name. Returns the same objects while nothing has changed. */
  listManagedVolumes(): readonly ManagedVolumeRecord[];
  findManagedVolume(name: string): ManagedVolumeRecord | undefined;
  /** False, without a write, when the name is taken. */
  addManagedVolume(record: ManagedVolumeRecord): boolean;
  removeManagedVolume(name: string): void;
}
