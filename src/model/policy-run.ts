/** What a policy does at its times. */
export const policyActions = ['backup', 'forget', 'prune', 'check', 'verify', 'drill'] as const;
export type PolicyAction = (typeof policyActions)[number];

/** How a run ended. `interrupted` when the process that ran it was killed, `missed` when its time passed and it is not made up for. */
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

/** One attempt of a policy at something that was due. */
export interface PolicyRun {
  readonly policy: string;
  readonly action: PolicyAction;
  /** As the policy names it; '' is the default one. */
  readonly repository: string;
  /** Identity of the volume or path; '' for what is done to a whole repository. */
  readonly subject: string;
  /** The volume's name, the absolute path, or the repository's name. */
  readonly name: string;
  /** When it was due, without jitter. RFC 3339, as all times here. */
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
  /** Grows with time. */
  readonly number: number;
  /** Undefined while it runs, and after a kill. */
  readonly end: PolicyRunEnd | undefined;
}

/** How far a policy has come with one thing that it does again and again. */
export interface PolicyCursor {
  /** Names the policy, the action, the repository and the subject. */
  readonly task: string;
  /** Tells a changed schedule from the one that `handledUntil` was counted by. */
  readonly schedule: string;
  /** Everything that was due until then is settled. RFC 3339. */
  readonly handledUntil: string;
  /** What is being tried: when it was due, how often it was begun, and when it may be begun again. */
  readonly dueAt: string | undefined;
  readonly attempts: number;
  readonly retryAt: string | undefined;
}

export const anomalyKinds = ['shrank', 'grew', 'noise'] as const;
export type AnomalyKind = (typeof anomalyKinds)[number];

/** A snapshot that differs from the one before it as damage would have it. */
export interface AnomalyRecord {
  readonly repositoryId: string;
  readonly volumeIdentity: string;
  readonly volumeName: string;
  readonly snapshotId: string;
  readonly kind: AnomalyKind;
  /** For people. */
  readonly message: string;
  readonly foundAt: string;
  /** When a user said that it is as it should be. */
  readonly acceptedAt: string | undefined;
}

/** The newest snapshot of a volume that was forgotten since the repository was last pruned. */
export interface ForgottenRecord {
  readonly repositoryId: string;
  readonly volumeIdentity: string;
  readonly volumeName: string;
  readonly newest: string;
}
