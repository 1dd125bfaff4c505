/** The actions that a policy schedules. */
export const policyActions = ['backup', 'forget', 'prune', 'check', 'verify', 'drill'] as const;
export type PolicyAction = (typeof policyActions)[number];

/**
 * The outcome of a run. `interrupted` when its process was killed, `missed` when its time passed and it is
 * not made up for.
 */
export const policyOutcomes = [
  'good',
  'partial',
  'failed',
  'cancelled',
  'interrupted',
  'missed',
  'waiting',
] as const;
export type PolicyOutcome = (typeof policyOutcomes)[number];

/** One attempt of a policy at a due action. */
export interface PolicyRun {
  readonly policy: string;
  readonly action: PolicyAction;
  /** As the policy names it; '' is the default one. */
  readonly repository: string;
  /** Identity of the volume or path; '' for an action on a whole repository. */
  readonly subject: string;
  /** The volume's name, the absolute path, or the repository's name. */
  readonly name: string;
  /** The due time, without jitter. RFC 3339, like all times here. */
  readonly scheduledAt: string;
  readonly startedAt: string;
}

export interface PolicyRunEnd {
  readonly endedAt: string;
  readonly outcome: PolicyOutcome;
  readonly snapshotId: string | undefined;
  readonly message: string | undefined;
}

export interface PolicyRunRecord extends PolicyRun {
  /** Increases with time. */
  readonly number: number;
  /** Undefined while it runs, and after a kill. */
  readonly end: PolicyRunEnd | undefined;
}

/** A policy's progress with one recurring task. */
export interface PolicyCursor {
  /** Identifies the policy, the action, the repository and the subject. */
  readonly task: string;
  /** Reveals a change of the schedule that `handledUntil` is based on. */
  readonly schedule: string;
  /** Everything due until then has been handled. RFC 3339. */
  readonly handledUntil: string;
  /** The due time being attempted, the number of attempts, and when the next may begin. */
  readonly dueAt: string | undefined;
  readonly attempts: number;
  readonly retryAt: string | undefined;
}

export const anomalyKinds = ['shrank', 'grew', 'noise'] as const;
export type AnomalyKind = (typeof anomalyKinds)[number];

/** A snapshot that differs from the previous one as damage would. */
export interface AnomalyRecord {
  readonly repositoryId: string;
  readonly volumeIdentity: string;
  readonly volumeName: string;
  readonly snapshotId: string;
  readonly kind: AnomalyKind;
  /** The explanation, in words. */
  readonly message: string;
  readonly foundAt: string;
  /** When a user accepted it. */
  readonly acceptedAt: string | undefined;
}

/** The newest snapshot of a volume that was forgotten since the last prune of the repository. */
export interface ForgottenRecord {
  readonly repositoryId: string;
  readonly volumeIdentity: string;
  readonly volumeName: string;
  readonly newest: string;
}
