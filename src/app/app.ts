import type { JobOptions, LogFilter, LogProblem, LogVerification, SendResult } from '../activity/index.ts';
import type {
  BackupJson,
  BackupReport,
  BackupRequest,
  ImportArchivesReport,
  ImportArchivesRequest,
} from '../backup/index.ts';
import type { EngineRecords } from '../hosts/engine-records.ts';
import type { Audit, Benchmarks, Doctor, Metrics, Usage } from '../insight/index.ts';
import type { Compose } from '../compose/index.ts';
import type { LogEntry, LogKind } from '../model/log-entry.ts';
import type { Volume } from '../model/volume.ts';
import type { Policies } from '../policies/index.ts';
import type { Proof } from '../proof/index.ts';
import type { InitReport, OtherRepository, Repositories, Upkeep } from '../repositories/index.ts';
import type { RecoverReport, RecoveredVolume, Restores } from '../restore/index.ts';
import type { Retention } from '../retention/index.ts';
import type { Snapshots } from '../snapshots/index.ts';
import type {
  ForeignTrash,
  ManagedVolume,
  ManagedVolumes,
  Migrations,
  RestoreTrashOptions,
  RunOptions,
  RunReport,
  RunRequest,
  Surroundings,
  TrashedVolume,
  HostVolumes,
  VolumesJson,
  WatchedSizes,
} from '../volumes/index.ts';
import type { AppConfig, RecoveryPlace } from './app-config.ts';
import type { Jobs } from './jobs.ts';

/**
 * All that Holdfast can do, for its surfaces: an object of rooms. Each part is opened when it is first
 * needed, and closed with the App.
 */
export interface App extends AsyncDisposable {
  readonly config: AppConfig;
  readonly volumes: Volumes;
  readonly backup: Backups;
  readonly restore: Restores;
  readonly snapshots: Snapshots;
  readonly retention: Retention;
  readonly proof: Proof;
  readonly policies: Policies;
  readonly repositories: AllRepositories;
  readonly activity: Activity;
  readonly audit: Audit;
  readonly doctor: Doctor;
  readonly metrics: Metrics;
  readonly benchmarks: Benchmarks;
  readonly compose: Compose;
  readonly usage: Usage;
  /** The works under way, and the last that ended. */
  readonly jobs: Jobs;
  /** For services that speak Docker's protocols. */
  readonly engineLinks: EngineLinks;
  /**
   * Settles in a place what killed work has left: restores, drills, containers that were left stopped or
   * paused. A surface calls it at its start; without it, volumes and the host are refused. Done once, and
   * reported through `onWarning`.
   */
  recoverAtStart(place: RecoveryPlace): Promise<RecoverReport>;
  /**
   * The same, but waits longer for containers that cannot be started. Also settles volumes that restores
   * through their engine have left half restored.
   */
  recover(options?: JobOptions): Promise<RecoverReport & { readonly volumes: readonly RecoveredVolume[] }>;
}

export interface Volumes extends Migrations {
  readonly asJson: VolumesJson;
  /** The lifecycle of volumes on the host. */
  onHost(): Promise<HostVolumes>;
  /** The volumes that Holdfast keeps itself on its drivers, whichever host is chosen. */
  managed(): Promise<ManagedVolumes>;
  /** Where containers run, and everything that they keep data in. Changes nothing. */
  lookAround(options?: JobOptions): Promise<Surroundings>;
  /** Adds the containers of other engines as consumers, for display. */
  withConsumersElsewhere(volumes: readonly Volume[], signal?: AbortSignal): Promise<readonly Volume[]>;
  /** Runs a command on this terminal, in a mount namespace of its own where managed volumes are mounted. */
  run(request: RunRequest, options?: RunOptions): Promise<RunReport>;
  /** Renames a managed volume, also for an engine that has it by the plugin. */
  rename(
    name: string,
    to: string,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<ManagedVolume>;
  /** What is in the trash, the newest first. First settles a killed `restoreTrash`. */
  listTrash(): Promise<TrashedVolume[]>;
  /** Brings a volume back from the trash to Holdfast or the engine that had it, and returns its name. */
  restoreTrash(which: string, options?: RestoreTrashOptions): Promise<string>;
}

export interface Backups {
  readonly asJson: BackupJson;
  /**
   * Saves volumes and directories. A failed target is in the report; an error that concerns all targets is
   * thrown.
   */
  run(request: BackupRequest, options?: JobOptions): Promise<BackupReport>;
  /** Turns archives of other programs into snapshots with the archives' dates. */
  importArchives(request: ImportArchivesRequest, options?: JobOptions): Promise<ImportArchivesReport>;
}

export interface AllRepositories extends Repositories, Upkeep {
  /** Makes the state folder, a key and a repository. Idempotent. */
  init(options?: InitOptions): Promise<InitReport>;
}

/** Reports of the work. */
export interface Activity {
  /** Oldest first. */
  listLog(filter: LogFilter): Promise<LogEntry[]>;
  /** Proves that the log is complete and was not changed without its key. */
  verifyLog(options?: JobOptions): Promise<LogVerification>;
  /** Sends a test over one channel or all of them. */
  testNotifications(channel: string | undefined, options?: JobOptions): Promise<SendResult[]>;
}

/** Links the managed volumes and the state folder to a container engine. */
export interface EngineLinks {
  /** The state folder's identity. */
  identity(): Promise<string>;
  /** Whether the volume of the engine with this id is protected. */
  isProtected(engineId: string, name: string): Promise<boolean>;
  /** Holdfast's trash for an engine's volumes. For one process at a time; closed with the App. */
  openTrash(): Promise<ForeignTrash>;
  /** Sizes of directories, for a service that asks repeatedly. The caller closes it. */
  openSizes(): Promise<WatchedSizes>;
  /** The records of the engine that uses managed volumes by a plugin of this name. */
  openRecords(driver: string): Promise<EngineRecords>;
}

export interface InitOptions extends JobOptions {
  /** Replaces the configured repository. */
  readonly location?: string | undefined;
  /** Options of the repository's store, by name; undefined takes the known ones. */
  readonly storeOptions?: Readonly<Record<string, string>> | undefined;
  /** Uses another repository's chunker parameters, so that copies between the two share data. */
  readonly chunkerFrom?: OtherRepository | undefined;
  /** True makes it the default repository of commands. Undefined keeps an existing default. */
  readonly makeDefault?: true | undefined;
}

export type {
  AppConfig,
  RecoveryPlace,
  BackupReport,
  BackupRequest,
  ImportArchivesReport,
  ImportArchivesRequest,
};
export type { ArchiveOutcome, BackupOutcome } from '../backup/index.ts';
export type { CheckReport, Progress, SnapshotEntry } from '../repository/index.ts';
export type { DueHook } from '../quiesce/index.ts';
export type { JobOptions, LogEntry, LogFilter, LogKind, LogProblem, LogVerification, SendResult };
export type { Job, JobError, JobOutcome, Jobs } from './jobs.ts';
export type * from '../compose/index.ts';
export type * from '../hosts/engine-records.ts';
export type * from '../insight/index.ts';
export type * from '../policies/index.ts';
export type * from '../proof/index.ts';
export type * from '../repositories/index.ts';
export type * from '../restore/index.ts';
export type * from '../retention/index.ts';
export type * from '../snapshots/index.ts';
export type * from '../volumes/index.ts';
