import type {
  AnomalyRecord,
  ForgottenRecord,
  PolicyCursor,
  PolicyRun,
  PolicyRunEnd,
  PolicyRunRecord,
} from '../model/policy-run.ts';

/** A repository that Holdfast knows by name. Secrets are references (`file:`, `env:`, `exec:`), never values. */
export interface RepositoryRecord {
  readonly name: string;
  /** An absolute directory, or a location such as `s3:https://host/bucket`. Never holds a secret. */
  readonly location: string;
  /** The id in the repository's config file; a moved or replaced repository is noticed by it. */
  readonly repositoryId: string;
  /** Where its password comes from: `file:/path`, `env:NAME`, `exec:command`. */
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
}

/** What a check of all data found whole. */
export interface VerifiedSnapshots {
  readonly snapshotIds: readonly string[];
  /** RFC 3339. */
  readonly verifiedAt: string;
}

/** Where the log ends: what is cut off its end is noticed by it. */
export interface LogAnchor {
  readonly sequence: number;
  /** Of the entry with that number. */
  readonly mac: string;
  /** Made with the log's key, so that nobody without it can move the anchor back. */
  readonly seal: string;
}

/** What could not be written into the log. */
export interface UnwrittenLog {
  readonly count: number;
  /** RFC 3339. */
  readonly since: string;
}

/** Something bad that lasts, and what was told of it. */
export interface NoticeRecord {
  /** What it is about. */
  readonly key: string;
  readonly fingerprint: string;
  readonly count: number;
  /** RFC 3339, as the others. */
  readonly firstAt: string;
  readonly lastAt: string;
  readonly toldAt: string;
  /** How many there had been when it was told. */
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

/** Where a lineage of snapshots comes from. */
export interface LineageOrigin {
  /** The other machine's lineage. */
  readonly identity: string;
  /** That machine's name, for people. */
  readonly hostName: string;
}

/** Somebody needs a volume mounted. */
export interface VolumeHold {
  readonly volume: string;
  /** Whoever asked chose it. */
  readonly id: string;
  /** The kernel's boot id at that time. */
  readonly boot: string;
  /** RFC 3339. */
  readonly heldAt: string;
}

/** What is remembered of volumes besides that they are. Each call is one transaction. */
export interface VolumeMemory {
  /** Driver, labels and options; nothing for a volume that is gone. */
  update(record: ManagedVolumeRecord): void;

  /** Of one volume, or of all. In the order of their times. */
  listHolds(volume?: string): VolumeHold[];
  /** The newest of an id counts. */
  hold(hold: VolumeHold): void;
  release(volume: string, id: string): void;

  isProtected(hostIdentity: string, name: string): boolean;
  listProtected(hostIdentity: string): string[];
  setProtected(hostIdentity: string, name: string, isProtected: boolean): void;

  /** False when the new name is taken by a volume, or is about to be: nothing is written then. */
  beginRename(from: string, to: string): boolean;
  /**
   * The record, its protection and its lineage have the new name from then on, and what has the former name next is another
   * volume: in one step. Nothing for a rename that has not begun.
   */
  endRename(from: string, hostIdentity: string): void;
  cancelRename(from: string): void;
  listRenames(): { readonly from: string; readonly to: string }[];
}

/** A volume whose directories may not be on the disk yet. */
export interface UnsettledVolume {
  readonly name: string;
  /** The kernel's boot id when they were made: only a machine that went down since then can have lost them. */
  readonly boot: string;
  /** Tells it from a later volume of that name. */
  readonly token: string;
}

/** A volume that is gone, while its folder may not be in the trash, or there but not on the disk. */
export interface VolumeRemoval {
  /** The folder's name in the trash: the volume's, a dot, and something of its own. */
  readonly entry: string;
  readonly name: string;
  /** Which folder it is: what has the volume's name later is another. */
  readonly folder: string;
  /** What is to lie beside the data in the trash. */
  readonly mark: string;
  readonly boot: string;
}

/**
 * What is decided and not on the disk in full, so that a power cut leaves something to be finished. What begins here is
 * durable when its call returns; that it has come to its end need not be, because it is found out again.
 */
export interface UnsettledMemory {
  /** Adds a volume with directories that are not on the disk. False when the name is taken: nothing is written then. */
  add(record: ManagedVolumeRecord, boot: string): boolean;
  list(): UnsettledVolume[];
  find(name: string): UnsettledVolume | undefined;
  /** Their directories are on the disk. Nothing for those that are gone, or others by now. */
  settle(volumes: readonly UnsettledVolume[]): void;
  /**
   * Takes the record of a volume without a folder away, in one step, unless it is that of a later volume by now, or of one
   * that was made in an earlier run of the machine than `boot` and has not settled: that one gets its folder again.
   */
  removeMissing(volume: Pick<ManagedVolumeRecord, 'name' | 'createdAt'>, boot: string | undefined): void;
  /** All that was begun before this is durable when it returns, whichever process began it. */
  sync(): void;

  /** In place of the record and its holds. False when there is no record: nothing is written then. */
  beginRemoval(removal: VolumeRemoval): boolean;
  /** The record is back. Nothing for a removal that has come to its end. */
  cancelRemoval(entry: string, record: ManagedVolumeRecord): void;
  /** All, or those of one name. `madeIn` is the boot id of its making for a volume that never settled. */
  listRemovals(name?: string): (VolumeRemoval & { readonly madeIn: string | undefined })[];
  endRemovals(entries: readonly string[]): void;
}

export interface PolicyRunFilter {
  readonly policy?: string | undefined;
  /** Only those that have not ended. */
  readonly open?: boolean | undefined;
  readonly limit: number;
}

/** What policies did, and how far they have come. Each call is one transaction. */
export interface PolicyMemory {
  /** Writes down that it begins, and where its policy stands by that; gives back the run's number. */
  beginRun(run: PolicyRun, cursor: PolicyCursor | undefined): number;
  /** Nothing for a run that has ended already, but for the cursor. */
  endRun(number: number, end: PolicyRunEnd, cursor: PolicyCursor | undefined): void;
  /** Newest first. */
  listRuns(filter: PolicyRunFilter): PolicyRunRecord[];

  listCursors(): PolicyCursor[];
  saveCursors(cursors: readonly PolicyCursor[]): void;

  /** Nothing for one that is known. */
  recordAnomaly(anomaly: AnomalyRecord): void;
  /** Those that nobody has accepted, oldest first. */
  listOpenAnomalies(): AnomalyRecord[];
  acceptAnomalies(volumeIdentity: string, at: string): void;

  /** Keeps the newest for each volume. */
  noteForgotten(forgotten: ForgottenRecord): void;
  listForgotten(repositoryId: string): ForgottenRecord[];
  /** But for those of which something newer was forgotten meanwhile. */
  clearForgotten(forgotten: readonly ForgottenRecord[]): void;
}

/** What a catalog that was lost is made anew from, as plain data. */
export interface CatalogEssentials {
  readonly stateId: string;
  readonly repositories: readonly RepositoryRecord[];
  readonly identities: readonly {
    readonly hostIdentity: string;
    readonly name: string;
    readonly identity: string;
  }[];
  /** What of lineages comes from other machines; `continues` is null for those that were taken over. */
  readonly origins: readonly {
    readonly identity: string;
    readonly continues: string | null;
    readonly hostName: string;
  }[];
  readonly protectedVolumes: readonly { readonly hostIdentity: string; readonly name: string }[];
  readonly volumes: readonly ManagedVolumeRecord[];
  /** Those that keep old data from being removed. */
  readonly anomalies: readonly AnomalyRecord[];
  readonly forgotten: readonly ForgottenRecord[];
}

export interface EssentialMemory {
  read(): CatalogEssentials;
  /** In one transaction. False, and nothing is written, unless the catalog is fresh. */
  restore(essentials: CatalogEssentials): boolean;
  /** Nothing was written down in it yet. */
  isFresh(): boolean;
  /** Something was written since it was opened, by this program. */
  hasWritten(): boolean;
}

/**
 * What Holdfast remembers between runs. Safe with several processes at once; each call is one transaction,
 * durable when it returns. Losing it loses no backup: repositories describe themselves.
 */
export interface Catalog extends Disposable {
  /** This state folder's own id, made once. */
  stateId(): string;

  listRepositories(): RepositoryRecord[];
  /** Inserts or replaces by name. A record with `isDefault` takes that role from the others. */
  saveRepository(record: RepositoryRecord): void;
  removeRepository(name: string): void;

  /** The lineage that a volume of a host belongs to, when it is not the one derived from host and name. */
  volumeIdentity(hostIdentity: string, name: string): string | undefined;
  setVolumeIdentity(hostIdentity: string, name: string, identity: string): void;
  /** A volume's lineage goes with it to another name. What has the former name next begins `next`: in one step. */
  moveVolumeIdentity(
    hostIdentity: string,
    move: { readonly from: string; readonly to: string; readonly next: string },
  ): void;

  /** The volume goes on in a lineage that another machine began, and rules of this one are about all of it. */
  takeOverLineage(hostIdentity: string, name: string, origin: LineageOrigin): void;
  listTakenOver(): string[];
  /** The volume goes on in a lineage of its own, which begins with what another machine saved. */
  continueLineage(hostIdentity: string, name: string, own: string, origin: LineageOrigin): void;
  /** What a lineage continues. */
  continuedLineage(identity: string): LineageOrigin | undefined;

  /** Ids of the snapshots that the last check of all data in a repository found whole. */
  listVerifiedSnapshots(repositoryId: string): string[];
  /** Replaces what was remembered for the repository. */
  setVerifiedSnapshots(repositoryId: string, verified: VerifiedSnapshots): void;
  /** Adds those that are whole to what is remembered, and takes out those that are not. */
  noteVerifiedSnapshots(
    repositoryId: string,
    found: VerifiedSnapshots & { readonly damagedIds: readonly string[] },
  ): void;
  /** For a snapshot that got a new id with its tags; nothing for one that is not verified. */
  renameVerifiedSnapshot(repositoryId: string, ids: { readonly from: string; readonly to: string }): void;

  recordRun(run: RunRecord): void;
  /** Newest first. */
  listRuns(filter: { readonly volumeIdentity?: string; readonly limit: number }): RunRecord[];

  logAnchor(): LogAnchor | undefined;
  /** The log has been written up to here: nothing is unwritten from then on. */
  setLogAnchor(anchor: LogAnchor): void;
  unwrittenLog(): UnwrittenLog | undefined;
  /** Adds to the count; the time is that of the first. */
  noteUnwrittenLog(unwritten: UnwrittenLog): void;

  findNotice(key: string): NoticeRecord | undefined;
  saveNotice(notice: NoticeRecord): void;
  removeNotice(key: string): void;

  readonly essentials: EssentialMemory;
  readonly policies: PolicyMemory;
  readonly volumes: VolumeMemory;
  readonly unsettled: UnsettledMemory;

  /** Sorted by name. The same records again while nothing has changed. */
  listManagedVolumes(): readonly ManagedVolumeRecord[];
  findManagedVolume(name: string): ManagedVolumeRecord | undefined;
  /** False when the name is taken: nothing is written then. */
  addManagedVolume(record: ManagedVolumeRecord): boolean;
  removeManagedVolume(name: string): void;
}
