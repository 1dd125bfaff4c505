import type { PolicyAction } from '../../model/policy-run.ts';
import type { DueTask } from './plan-due.ts';
import { type Policy, treatmentOf } from './policy.ts';

/** Tasks that are done together. */
export interface Job {
  readonly action: PolicyAction;
  readonly policy: Policy;
  readonly repository: string;
  /** None for "forget", which follows from other jobs. */
  readonly tasks: readonly DueTask[];
  /** Identities of what nobody else may work on meanwhile. */
  readonly subjects: readonly string[];
}

/** Puts together what belongs together: the volumes of one stack that are due at one time. Pure; keeps the order. */
export function groupJobs(due: readonly DueTask[]): Job[] {
  const groups = new Map<string, DueTask[]>();
  for (const one of due) {
    const key = groupKey(one);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return [...groups.values()].flatMap((tasks) => {
    const [first] = tasks;
    if (first === undefined) return [];
    const { action, policy, repository } = first.task;
    const subjects = action === 'backup' ? tasks.flatMap(({ task }) => task.subject?.identity ?? []) : [];
    return [{ action, policy, repository, tasks, subjects }];
  });
}

function groupKey({ task, dueMs }: DueTask): string {
  const { action, policy, repository, subject, key } = task;
  if (action !== 'backup' || subject?.stack === undefined) return key;
  return JSON.stringify([repository, policy.name, subject.stack, dueMs, treatmentOf(policy)]);
}

/**
 * Which of these jobs begin now, beside those that run; pure. One at a time for each volume; what takes data away from a
 * repository runs in it alone. Who waits keeps his place: those behind him don't take what he waits for.
 */
export function chooseJobs(waiting: readonly Job[], running: readonly Job[], parallel: number): Job[] {
  const claimed = [...running];
  const chosen: Job[] = [];
  for (const job of waiting) {
    if (running.length + chosen.length >= parallel) break;
    const isFree = claimed.every((other) => !isInTheWay(other, job));
    if (isFree) chosen.push(job);
    claimed.push(job);
  }
  return chosen;
}

function isInTheWay(other: Job, job: Job): boolean {
  if (other.subjects.some((identity) => job.subjects.includes(identity))) return true;
  return other.repository === job.repository && (isAlone(other) || isAlone(job));
}

function isAlone({ action }: Job): boolean {
  return action === 'forget' || action === 'prune';
}
