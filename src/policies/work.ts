import type { AppError } from '../model/errors.ts';
import type { Anomaly } from '../backup/index.ts';
import type { ReloadedConfiguration } from './configuration/configuration-source.ts';
import type { LoadedConfiguration } from './configuration/load-configuration.ts';
import type { Happening, JobOptions } from '../activity/index.ts';
import type { Policy } from '../model/policy.ts';
import type { Subject } from './subject.ts';

/** A clock that can be waited by. */
export interface Clock {
  /** Milliseconds since 1970; may jump both ways. */
  now(): number;
  /** Resolves after that much real time, or as soon as the signal is aborted. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** One action of one policy in one repository. */
export interface PolicyJob {
  readonly policy: Policy;
  /** By name or location; '' is the default one where no name is known. */
  readonly repository: string;
}

export interface SaveJob extends PolicyJob {
  /** More than one only for volumes of one stack. */
  readonly subjects: readonly Subject[];
}

/** What became of one subject of a job. */
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
  /** Why no volumes are among them. */
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
 * What the daemon has done for it. Each call opens what it needs and closes it again, so that a host or a repository
 * that was away is there again when it is back. Errors are thrown, but for what a single subject came to.
 */
export interface PolicyWork {
  /** Reads the configuration anew; where it cannot be used, the one before stays. Throws when there was none before. */
  configuration(): Promise<ReloadedConfiguration>;
  /** Why the configuration as it is written now cannot be used. */
  configurationProblem(): Promise<AppError | undefined>;
  /** Everything that there is now and that policies can be about. Without volumes where the host does not show them. */
  subjects(configuration: LoadedConfiguration, options: JobOptions): Promise<FoundSubjects>;
  /** What a repository that is not named goes by. */
  defaultRepository(configuration: LoadedConfiguration): Promise<string>;

  backup(job: SaveJob, options: JobOptions): Promise<readonly SubjectOutcome[]>;
  /** True when a run that nobody finished saved a good snapshot after all. */
  wasSaved(run: {
    readonly subject: string;
    readonly repository: string;
    readonly startedAt: string;
  }): Promise<boolean>;
  /** Removes what no rule keeps. What that is, is told before anything is removed. */
  forget(
    job: SaveJob,
    options: JobOptions & { readonly beforeRemoval: (forgotten: Forgotten) => void },
  ): Promise<void>;
  prune(job: PolicyJob, options: JobOptions): Promise<UpkeepOutcome>;
  check(job: PolicyJob & { readonly percent: number }, options: JobOptions): Promise<UpkeepOutcome>;
  verify(job: PolicyJob & { readonly percent: number }, options: JobOptions): Promise<UpkeepOutcome>;
  drill(job: SaveJob, options: JobOptions): Promise<UpkeepOutcome>;

  /** Tells people what happened. */
  tell(happenings: readonly Happening[]): Promise<void>;
}
