import type { AppError } from '../model/errors.ts';
import type { Anomaly } from '../backup/index.ts';
import type { ReloadedConfiguration } from './configuration/configuration-source.ts';
import type { LoadedConfiguration } from './configuration/load-configuration.ts';
import type { Happening, JobOptions } from '../activity/index.ts';
import type { Policy } from '../model/policy.ts';
import type { Subject } from './subject.ts';

/** A clock with a wait. */
export interface Clock {
  /** Milliseconds since 1970; may jump both ways. */
  now(): number;
  /** Resolves after that much real time, or as soon as the signal is aborted. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** One action of one policy in one repository. */
export interface PolicyJob {
  readonly policy: Policy;
  /** By name or location; '' is the default one when its name is unknown. */
  readonly repository: string;
}

export interface SaveJob extends PolicyJob {
  /** More than one only for volumes of one stack. */
  readonly subjects: readonly Subject[];
}

/** The outcome of one subject of a job. */
export interface SubjectOutcome {
  readonly identity: string;
  readonly outcome: 'good' | 'partial' | 'failed' | 'cancelled';
  readonly snapshotId: string | undefined;
  readonly repositoryId: string | undefined;
  readonly anomalies: readonly Anomaly[];
  readonly error: AppError | undefined;
}

export interface FoundSubjects {
  readonly subjects: readonly Subject[];
  /** Why volumes are missing. */
  readonly hostFailure: AppError | undefined;
}

export interface Forgotten {
  readonly identity: string;
  readonly name: string;
  readonly repositoryId: string;
  /** Times of the snapshots that were removed, RFC 3339. */
  readonly times: readonly string[];
}

/** `waiting` when it must not be pruned yet. */
export interface UpkeepOutcome {
  readonly outcome: 'good' | 'failed' | 'waiting';
  readonly message: string | undefined;
}

/**
 * The work that the daemon delegates. Each call opens what it needs and closes it again, so that a host or a
 * repository that was away is found when it is back. Errors are thrown, except those of a single subject,
 * which are its outcome.
 */
export interface PolicyWork {
  /**
   * Reloads the configuration; an unusable file leaves the earlier one in force. Throws when there was none
   * before.
   */
  configuration(): Promise<ReloadedConfiguration>;
  /** Why the configuration file is not usable as it is now. */
  configurationProblem(): Promise<AppError | undefined>;
  /** Everything that policies can apply to now. Without volumes when the host does not list them. */
  subjects(configuration: LoadedConfiguration, options: JobOptions): Promise<FoundSubjects>;
  /** The name of the default repository. */
  defaultRepository(configuration: LoadedConfiguration): Promise<string>;

  backup(job: SaveJob, options: JobOptions): Promise<readonly SubjectOutcome[]>;
  /** True when a run without an end saved a good snapshot after all. */
  wasSaved(run: {
    readonly subject: string;
    readonly repository: string;
    readonly startedAt: string;
  }): Promise<boolean>;
  /** Removes snapshots that no rule keeps. Reports them before any removal. */
  forget(
    job: SaveJob,
    options: JobOptions & { readonly beforeRemoval: (forgotten: Forgotten) => void },
  ): Promise<void>;
  prune(job: PolicyJob, options: JobOptions): Promise<UpkeepOutcome>;
  check(job: PolicyJob & { readonly percent: number }, options: JobOptions): Promise<UpkeepOutcome>;
  verify(job: PolicyJob & { readonly percent: number }, options: JobOptions): Promise<UpkeepOutcome>;
  drill(job: SaveJob, options: JobOptions): Promise<UpkeepOutcome>;

  tell(happenings: readonly Happening[]): Promise<void>;
}
