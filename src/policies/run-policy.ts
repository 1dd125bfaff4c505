import { knownError } from '../lib/known-error.ts';
import { AppError } from '../model/errors.ts';
import { isWithin } from '../model/clean-path.ts';
import type { PolicyOutcome } from '../model/policy-run.ts';
import { quote } from '../model/quote.ts';
import type { ForgetPlan } from '../retention/index.ts';
import type { JobOptions } from '../activity/index.ts';
import type { PolicyMemory } from '../catalog/catalog.ts';
import type { Assignment } from './assign-policies.ts';
import { failedOutcome } from './failed-outcome.ts';
import { coversRest, policyTag, backupSettingsOf } from '../model/policy.ts';
import type { OpenPolicyApp } from './policy-app.ts';
import { findPolicy, policyStatuses, type PolicyView } from './policy-status.ts';
import { noteAnomalies } from './note-anomalies.ts';
import { runForget } from './run-forget.ts';
import { allVolumes, happeningOfHost } from './tell-of-look.ts';
import type { PolicyWork, SubjectOutcome } from './work.ts';

export interface RunPolicyRequest {
  readonly name: string;
  /** Volumes and paths to back up, with the rest of their stacks. Undefined is all that the policy covers. */
  readonly only?: readonly string[] | undefined;
  /** Lists what would be backed up and forgotten, and changes nothing. */
  readonly dryRun: boolean;
}

/** What one manual run of a policy did, or would do. */
export interface PolicyRunReport {
  readonly policy: string;
  readonly dryRun: boolean;
  readonly backups: readonly PolicyBackup[];
}

export interface PolicyBackup {
  readonly kind: 'volume' | 'path';
  readonly name: string;
  readonly repository: string;
  /** Undefined for a dry run. */
  readonly outcome: PolicyOutcome | undefined;
  readonly snapshotId: string | undefined;
  readonly error: AppError | undefined;
  /** Ids of the snapshots that the rules would remove now. Dry run only. */
  readonly wouldForget: readonly string[];
}

export interface PolicyToRun {
  readonly memory: PolicyMemory;
  readonly view: PolicyView;
  readonly work: PolicyWork;
  readonly open: OpenPolicyApp;
}

/** Backs up all that a policy covers, now, and applies its rules. Scheduled runs are unaffected. */
export async function runPolicy(
  { memory, view, work, open }: PolicyToRun,
  { name, only, dryRun, signal, onNote, onProgress }: JobOptions & RunPolicyRequest,
): Promise<PolicyRunReport> {
  findPolicy(
    policyStatuses(view, () => undefined, Date.now()),
    name,
  );
  const assignments = view.assignments.filter(({ policy }) => policy.name === name);
  const hostFailure = isAboutPathsOnly(view, name) ? undefined : view.hostFailure;
  if (assignments.length === 0 && hostFailure === undefined) {
    throw new AppError('not-found', `The policy ${quote(name)} is about nothing that there is`, {
      hint: '"holdfast policy show" says what it looks for, "holdfast volume ls" what there is.',
    });
  }
  const options = { signal, onNote, onProgress };
  const backups: PolicyBackup[] = [];
  for (const group of groupsOf(assignments, view.defaultRepository)) {
    if (only !== undefined && !holdsAny(group, only)) continue;
    if (dryRun) backups.push(...(await preview(open, group, options)));
    else backups.push(...(await runGroup(memory, { group, work }, options)));
    if (signal?.aborted === true) break;
  }
  if (hostFailure !== undefined) {
    if (!dryRun) await work.tell([happeningOfHost(hostFailure, name)]);
    backups.push(notSeen(hostFailure, view.defaultRepository));
  }
  return { policy: name, dryRun, backups };
}

function isAboutPathsOnly({ configuration }: PolicyView, name: string): boolean {
  const select = configuration.policies.find((policy) => policy.name === name)?.select;
  if (select === undefined || select.everything || coversRest(select)) return false;
  return select.volumes.length + select.stacks.length + select.containers.length + select.labels.length === 0;
}

/** The outcome for volumes that the host did not show. */
function notSeen(error: AppError, repository: string): PolicyBackup {
  const base = { kind: 'volume', name: allVolumes, repository, snapshotId: undefined } as const;
  return { ...base, outcome: 'failed', error, wouldForget: [] };
}

interface Group {
  readonly repository: string;
  /** Of one stack, or a single one; with the same settings. */
  readonly assignments: readonly Assignment[];
}

function groupsOf(assignments: readonly Assignment[], defaultRepository: string): Group[] {
  const groups = new Map<string, Group>();
  for (const assignment of assignments) {
    const { policy, subject } = assignment;
    for (const wanted of policy.repositories) {
      const repository = wanted || defaultRepository;
      const key = JSON.stringify([repository, subject.stack ?? subject.identity, backupSettingsOf(policy)]);
      const known = groups.get(key)?.assignments ?? [];
      groups.set(key, { repository, assignments: [...known, assignment] });
    }
  }
  return [...groups.values()];
}

/** A requested path may lie in a directory that is saved as a whole. */
function holdsAny({ assignments }: Group, names: readonly string[]): boolean {
  return assignments.some(({ subject: { kind, name } }) =>
    names.some((asked) => asked === name || (kind === 'path' && isWithin(asked, name))),
  );
}

async function runGroup(
  memory: PolicyMemory,
  { group, work }: { readonly group: Group; readonly work: PolicyWork },
  options: JobOptions,
): Promise<PolicyBackup[]> {
  const { repository, assignments } = group;
  const [first] = assignments;
  if (first === undefined) return [];
  const say = (message: string): void => options.onNote?.(message);
  const time = (): string => new Date().toISOString();
  const startedAt = time();
  const numbers = assignments.map(({ policy, subject }) =>
    memory.beginRun(
      {
        policy: policy.name,
        action: 'backup',
        repository,
        subject: subject.identity,
        name: subject.name,
        scheduledAt: startedAt,
        startedAt,
      },
      undefined,
    ),
  );
  const outcomes = await outcomesOf(work, group, options);
  for (const [index, outcome] of outcomes.entries()) {
    const subject = assignments[index]?.subject;
    if (subject !== undefined) noteAnomalies({ memory, now: Date.now, say }, subject, outcome);
    const { snapshotId, error } = outcome;
    memory.endRun(
      numbers[index] ?? 0,
      { endedAt: time(), outcome: outcome.outcome, snapshotId, message: error?.message },
      undefined,
    );
  }
  const jobs = assignments.flatMap(({ policy, subject }, index) =>
    outcomes[index]?.outcome === 'good' && policy.keep !== undefined ? [{ policy, subject, repository }] : [],
  );
  await runForget({ work, memory, say, signal: options.signal ?? new AbortController().signal }, jobs);
  return assignments.map(({ subject }, index) =>
    backupOf({ repository, subject, outcome: outcomes[index], wouldForget: [] }),
  );
}

async function outcomesOf(
  work: PolicyWork,
  { repository, assignments }: Group,
  options: JobOptions,
): Promise<SubjectOutcome[]> {
  const subjects = assignments.map(({ subject }) => subject);
  try {
    const [first] = assignments;
    if (first === undefined) return [];
    const found = await work.backup({ policy: first.policy, repository, subjects }, options);
    return subjects.map(
      ({ identity, name }) =>
        found.find((one) => one.identity === identity) ??
        failedOutcome(identity, new AppError('failed', `${quote(name)} was not backed up`)),
    );
  } catch (error) {
    const known = knownError(error);
    return subjects.map(({ identity }) => failedOutcome(identity, known));
  }
}

async function preview(
  open: OpenPolicyApp,
  { repository, assignments }: Group,
  options: JobOptions,
): Promise<PolicyBackup[]> {
  await using opened = open(repository);
  await opened.recoverAtStart();
  const backups: PolicyBackup[] = [];
  for (const { policy, subject } of assignments) {
    const keep = policy.keep;
    const known =
      keep &&
      (await opened.app.snapshots.list({ name: subject.name, tags: [policyTag(policy.name)] }, options));
    const plan: ForgetPlan | undefined =
      keep && known !== undefined && known.length > 0
        ? await opened.app.retention.planForget(
            {
              targets: [subject.name],
              tags: [[policyTag(policy.name)]],
              rules: keep.rules,
              keepVerified: keep.verified,
              allowEmpty: false,
            },
            options,
          )
        : undefined;
    const wouldForget = (plan?.groups ?? []).flatMap(({ decisions }) =>
      decisions.flatMap(({ stays, snapshot }) => (stays ? [] : [snapshot.id])),
    );
    backups.push(backupOf({ repository, subject, outcome: undefined, wouldForget }));
  }
  return backups;
}

function backupOf({
  repository,
  subject: { kind, name },
  outcome,
  wouldForget,
}: {
  readonly repository: string;
  readonly subject: Assignment['subject'];
  readonly outcome: SubjectOutcome | undefined;
  readonly wouldForget: readonly string[];
}): PolicyBackup {
  return {
    kind,
    name,
    repository,
    outcome: outcome?.outcome,
    snapshotId: outcome?.snapshotId,
    error: outcome?.error,
    wouldForget,
  };
}
