import type { JobOptions, LogFilter, LogProblem, LogVerification, SendResult } from '../activity/index.ts';
import type {
  BackupJson,
  BackupReport,
  BackupRequest,
  ImportArchivesReport,
  ImportArchivesRequest,
} from '../backup/index.ts';
import type { EngineRecords } from '../hosts/engine-records.ts';
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
  VolumeEngine,
  WatchedSizes,
} from '../volumes/index.ts';
import type { AppConfig, RecoveryPlace } from './app-config.ts';
import type { Jobs } from './jobs.ts';

/**
 * All that Holdfast can do, for its surfaces: an object of rooms. Parts are opened when they are first needed, and closed
 * with the App.
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
  /** What is under way, and what ended last. */
  readonly jobs: Jobs;
  /** For services that speak Docker's protocols. */
  readonly engineLinks: EngineLinks;
  /**
   * Brings to its end what killed work has left in a place: restores, drills, containers that were left stopped or paused. A
   * surface calls it when it starts, before it works on what is there; without it, volumes and the host are refused. Done
   * once, and told through `onWarning`.
   */
  recoverAtStart(place: RecoveryPlace): Promise<RecoverReport>;
  /**
   * The same with more patience for containers that cannot be started. And puts right the volumes that restores through
   * their engine have left half restored.
   */
  recover(options?: JobOptions): Promise<RecoverReport & { readonly volumes: readonly RecoveredVolume[] }>;
}

export interface Volumes extends Migrations {
  /** The lifecycle of volumes on the host. */
  onHost(): Promise<VolumeEngine>;
  /** The volumes that Holdfast keeps itself on its drivers, whatever the host is. */
  managed(): Promise<ManagedVolumes>;
  /** Where containers run, and all that they keep data in. Looks, and changes nothing. */
  lookAround(options?: JobOptions): Promise<Surroundings>;
  /** With the containers of engines other than the host as consumers, for people to see. */
  withConsumersElsewhere(volumes: readonly Volume[], signal?: AbortSignal): Promise<readonly Volume[]>;
  /** Runs a command with volumes that Holdfast keeps itself in their places, in a namespace of its own, on this terminal. */
  run(request: RunRequest, options?: RunOptions): Promise<RunReport>;
  /** Renames a volume that Holdfast keeps itself, also for an engine that has it by the plugin. */
  rename(
    name: string,
    to: string,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<ManagedVolume>;
  /** What is in the trash, the newest first. Puts back first what a killed `restoreTrash` has left on its way. */
  listTrash(): Promise<TrashedVolume[]>;
  /** Brings a volume back from the trash to Holdfast or the engine that had it, and returns its name. */
  restoreTrash(which: string, options?: RestoreTrashOptions): Promise<string>;
}

export interface Backups {
  readonly asJson: BackupJson;
  /** Saves volumes and directories. A target that fails is in the report; what fails for all of them is thrown. */
  run(request: BackupRequest, options?: JobOptions): Promise<BackupReport>;
  /** Turns archives of other programs into snapshots with their dates. */
  importArchives(request: ImportArchivesRequest, options?: JobOptions): Promise<ImportArchivesReport>;
}

export interface AllRepositories extends Repositories, Upkeep {
  /** Makes the state folder, a key and a repository; may be repeated. */
  init(options?: InitOptions): Promise<InitReport>;
}

/** What is told of the work. */
export interface Activity {
  /** Oldest first. */
  listLog(filter: LogFilter): Promise<LogEntry[]>;
  /** Proves that the log is whole and that it was not changed without its key. */
  verifyLog(options?: JobOptions): Promise<LogVerification>;
  /** Sends a test over one channel or all of them. */
  testNotifications(channel: string | undefined, options?: JobOptions): Promise<SendResult[]>;
}

/** What holds the volumes that Holdfast keeps itself and those of an engine together. */
export interface EngineLinks {
  /** Of the state folder. */
  identity(): Promise<string>;
  /** Of a volume of the engine with this id. */
  isProtected(engineId: string, name: string): Promise<boolean>;
  /** Our trash, for volumes of an engine. For one process at a time; closed with the App. */
  openTrash(): Promise<ForeignTrash>;
  /** How large directories are, for a service that asks more than once. The caller closes it. */
  openSizes(): Promise<WatchedSizes>;
  /** Of the engine that is to have our volumes by a plugin of this name. */
  openRecords(driver: string): Promise<EngineRecords>;
}

export interface InitOptions extends JobOptions {
  /** Instead of the repository that is configured. */
  readonly location?: string | undefined;
  /** Of the repository's store, by name; undefined takes those that are known. */
  readonly storeOptions?: Readonly<Record<string, string>> | undefined;
  /** Makes it like another repository, so that data which both save is stored once when it is copied. */
  readonly chunkerFrom?: OtherRepository | undefined;
  /** True makes it the one that commands take unless they name another. Undefined leaves that as it is, where there is one. */
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
export type * from '../hosts/engine-records.ts';
export type * from '../policies/index.ts';
export type * from '../proof/index.ts';
export type * from '../repositories/index.ts';
export type * from '../restore/index.ts';
export type * from '../retention/index.ts';
export type * from '../snapshots/index.ts';
export type * from '../volumes/index.ts';
