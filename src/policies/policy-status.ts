import { AppError } from '../model/errors.ts';
import type { PolicyAction, PolicyCursor, PolicyRunRecord } from '../model/policy-run.ts';
import { quote } from '../model/quote.ts';
import type { LoadedConfiguration } from './configuration/load-configuration.ts';
import { nearNames } from '../model/near-names.ts';
import type { JobOptions } from '../activity/index.ts';
import { type Assignment, assignPolicies, labelPolicy, unknownPolicies } from './assign-policies.ts';
import { planTasks } from './daemon.ts';
import { defaultRepositoryOf } from './default-repository.ts';
import type { VolumeScope } from '../leases/index.ts';
import { listSubjects } from './list-subjects.ts';
import { nextOf, planDue } from './plan-due.ts';
import type { Policy } from '../model/policy.ts';
import type { Subject } from './subject.ts';
import type { Task } from './task.ts';

/** One thing that a policy will do. */
export interface NextRun {
  /** RFC 3339. In the past for a run that is due, or waits. */
  readonly time: string;
  readonly state: 'scheduled' | 'due' | 'retry';
  readonly action: PolicyAction;
  readonly policy: string;
  readonly repository: string;
  /** The volume, the directory, or the repository. */
  readonly name: string;
  readonly attempts: number;
  /** RFC 3339; the first scheduled time that has passed and is not done yet. Undefined while there is none. */
  readonly undoneSince?: string | undefined;
}

export interface PolicyStatus {
  readonly policy: Policy;
  readonly covers: readonly {
    readonly kind: 'volume' | 'path';
    readonly name: string;
    readonly reason: string;
  }[];
  readonly next: NextRun | undefined;
  readonly last: PolicyRunRecord | undefined;
}

export interface PolicyView {
  readonly configuration: LoadedConfiguration;
  readonly defaultRepository: string;
  readonly subjects: readonly Subject[];
  readonly assignments: readonly Assignment[];
  readonly tasks: readonly Task[];
  readonly cursors: ReadonlyMap<string, PolicyCursor>;
  /** Why volumes are missing. */
  readonly hostFailure: AppError | undefined;
}

export interface ViewRequest {
  readonly configuration: LoadedConfiguration;
  /** The repository that the command line or the environment names. */
  readonly repository: string | undefined;
}

/** The policies and their current subjects. The caller handles `hostFailure`. */
export async function viewPolicies(
  scope: VolumeScope,
  { configuration, repository: given }: ViewRequest,
  options: JobOptions,
): Promise<PolicyView> {
  const { subjects, warnings, hostFailure } = await listSubjects(scope, configuration.policies, options);
  const unknown = subjects.flatMap((subject) =>
    unknownPolicies(configuration, subject).map(
      (name) => `${quote(subject.name)} names the policy ${quote(name)}, which there is not`,
    ),
  );
  for (const warning of [...warnings, ...unknown]) options.onNote?.(`${warning}.`);
  const { catalog } = scope;
  const defaultRepository = defaultRepositoryOf(catalog, { given, configuration });
  return {
    configuration,
    hostFailure,
    defaultRepository,
    subjects,
    assignments: assignPolicies(configuration, subjects),
    tasks: planTasks(configuration, subjects, { defaultRepository }),
    cursors: new Map(catalog.policies.listCursors().map((cursor) => [cursor.task, cursor])),
  };
}

/** The next runs, the earliest first. Pure. */
export function nextRuns(
  { tasks, cursors }: Pick<PolicyView, 'tasks' | 'cursors'>,
  nowMs: number,
): NextRun[] {
  const due = new Set(planDue(tasks, cursors, nowMs).due.map(({ task }) => task.key));
  return tasks
    .flatMap((task) => {
      const cursor = cursors.get(task.key);
      const run = nextRun(task, { cursor, isDue: due.has(task.key), nowMs });
      if (run === undefined || run.state === 'scheduled' || cursor === undefined) return run ?? [];
      const sinceMs = nextOf(task, Date.parse(cursor.handledUntil));
      return sinceMs === undefined ? run : { ...run, undoneSince: new Date(sinceMs).toISOString() };
    })
    .toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : a.name < b.name ? -1 : 1));
}

interface TaskState {
  readonly cursor: PolicyCursor | undefined;
  readonly isDue: boolean;
  readonly nowMs: number;
}

function nextRun(task: Task, { cursor, isDue, nowMs }: TaskState): NextRun | undefined {
  const { action, policy, repository, subject, delayMs } = task;
  const what = { action, policy: policy.name, repository, name: subject?.name ?? repository };
  if (isDue) {
    const dueMs = (task.timetable.last(nowMs - delayMs) ?? nowMs) + delayMs;
    return { ...what, state: 'due', time: new Date(dueMs).toISOString(), attempts: cursor?.attempts ?? 0 };
  }
  if (cursor?.retryAt !== undefined && Date.parse(cursor.retryAt) > nowMs)
    return { ...what, state: 'retry', time: cursor.retryAt, attempts: cursor.attempts };
  const handledMs = cursor === undefined ? nowMs : Date.parse(cursor.handledUntil);
  const nextMs = nextOf(task, Math.max(handledMs, nowMs - delayMs));
  if (nextMs === undefined) return undefined;
  return { ...what, state: 'scheduled', time: new Date(nextMs).toISOString(), attempts: 0 };
}

/** Each policy with what it covers, its last runs and its next. */
export function policyStatuses(
  view: PolicyView,
  runs: (policy: string) => PolicyRunRecord | undefined,
  nowMs: number,
): PolicyStatus[] {
  const next = nextRuns(view, nowMs);
  const byLabel = view.assignments.find(({ policy }) => policy.name === labelPolicy)?.policy;
  const known = view.configuration.policies;
  const all =
    byLabel === undefined || known.some(({ name }) => name === labelPolicy) ? known : [...known, byLabel];
  return all.map((policy) => ({
    policy: { ...policy, repositories: policy.repositories.map((name) => name || view.defaultRepository) },
    covers: view.assignments
      .filter((assignment) => assignment.policy.name === policy.name)
      .map(({ subject: { kind, name }, reason }) => ({ kind, name, reason })),
    next: next.find((run) => run.policy === policy.name && run.action === 'backup'),
    last: runs(policy.name),
  }));
}

/** The policy of that name, or `not-found` with the existing ones. */
export function findPolicy(statuses: readonly PolicyStatus[], wanted: string): PolicyStatus {
  const found = statuses.find(({ policy }) => policy.name === wanted);
  if (found !== undefined) return found;
  const names = statuses.map(({ policy }) => policy.name);
  const near = nearNames(wanted, names);
  const hint =
    near.length > 0
      ? `Did you mean ${near.map(quote).join(' or ')}?`
      : names.length > 0
        ? `There is ${names.map(quote).join(', ')}.`
        : 'There is none yet: write it into holdfast.yaml, below "policies".';
  throw new AppError('not-found', `There is no policy ${quote(wanted)}`, { hint });
}
