import type { PolicyAction, PolicyCursor } from '../model/policy-run.ts';
import type { DueTask } from './plan-due.ts';
import { type Policy, backupSettingsOf } from '../model/policy.ts';
import type { Task } from './task.ts';

/** Tasks that are done together. */
export interface Job {
  readonly action: PolicyAction;
  readonly policy: Policy;
  readonly repository: string;
  /** Since when it waits, by the clock. */
  readonly sinceMs: number;
  /** Empty for "forget", which follows other jobs. */
  readonly tasks: readonly DueTask[];
  /** Identities that no other job may work on meanwhile. */
  readonly subjects: readonly string[];
}

/** Groups the volumes of one stack that are due at the same time. Pure; keeps the order. */
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
    const sinceMs = Math.min(...tasks.map((one) => one.sinceMs));
    return [{ action, policy, repository, sinceMs, tasks, subjects }];
  });
}

/**
 * The number of retries that save the rest of the stack again: an application must not be stopped all day for
 * one volume.
 */
const retriesTogether = 5;

/**
 * Adds to each volume that is retried the rest of its stack: saved by itself, the volume would belong to no
 * moment of the whole stack. `tasks` are those that may begin. Pure; keeps the order.
 */
export function withRestOfStacks(
  due: readonly DueTask[],
  tasks: readonly Task[],
  { cursors, nowMs }: { readonly cursors: ReadonlyMap<string, PolicyCursor>; readonly nowMs: number },
): DueTask[] {
  const retried = new Map<string, DueTask>();
  for (const one of due) {
    const isRetried = one.attempts > 0 && one.attempts <= retriesTogether;
    if (isRetried && isOfStack(one.task)) retried.set(groupKey(one), one);
  }
  if (retried.size === 0) return [...due];
  const known = new Set(due.map(({ task }) => task.key));
  const rest = tasks.flatMap((task): DueTask[] => {
    const dueMs = known.has(task.key) ? undefined : task.timetable.last(nowMs - task.delayMs);
    const beside = dueMs === undefined ? undefined : retried.get(groupKey({ task, dueMs }));
    if (beside === undefined || !isOfStack(task)) return [];
    const cursor = cursors.get(task.key);
    // One that waits for a retry itself is retried now.
    const isWaiting = cursor?.dueAt !== undefined && Date.parse(cursor.dueAt) === dueMs;
    const attempts = isWaiting ? cursor.attempts : 0;
    return [{ ...beside, task, attempts, missed: 0, wasKilled: false, isAlong: !isWaiting }];
  });
  return [...due, ...rest];
}

function isOfStack({ action, subject }: Task): boolean {
  return action === 'backup' && subject?.stack !== undefined;
}

function groupKey({ task, dueMs }: Pick<DueTask, 'task' | 'dueMs'>): string {
  const { policy, repository, subject, key } = task;
  if (!isOfStack(task)) return key;
  return JSON.stringify([repository, policy.name, subject?.stack, dueMs, backupSettingsOf(policy)]);
}

/** How long a job lets others go first: forget and prune come after backups. */
const patienceMs: Partial<Record<PolicyAction, number>> = { forget: 10_000, prune: 10 * 60_000 };

function patienceOf({ action }: Job): number {
  return patienceMs[action] ?? 0;
}

export interface Turn {
  /** Its number among all turns. */
  readonly number: number;
  readonly endedMs: number;
}

/**
 * The jobs in the order of their turns; pure. The longest-waiting comes first, of any kind: none waits for an
 * idle moment, which a busy daemon never has. A running task does not wait, and of jobs that wait equally
 * long the one whose last turn was earlier comes first: tasks that are always due take turns.
 */
export function inTurn(jobs: readonly Job[], last: ReadonlyMap<string, Turn>): Job[] {
  const placed = jobs.map((job) => {
    const turns = job.tasks.map(({ task }) => last.get(task.key));
    const endedMs = Math.min(...turns.map((turn) => turn?.endedMs ?? 0));
    const sinceMs = Math.max(job.sinceMs, turns.length === 0 ? 0 : endedMs);
    const number = Math.min(...turns.map((turn) => turn?.number ?? 0));
    return { job, turnMs: sinceMs + patienceOf(job), number };
  });
  return placed.toSorted((a, b) => a.turnMs - b.turnMs || a.number - b.number).map(({ job }) => job);
}

/** A job that has begun. */
export interface RunningJob extends Job {
  readonly beganMs: number;
}

/** Of each hour that a job waits to be alone in its repository, no other begins there for this long. */
const aloneForMs = 10 * 60_000;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/**
 * Which of these jobs begin now, beside the running ones; pure. One at a time for each volume; a job that
 * removes data from a repository runs in it alone. A waiting job keeps its place: those behind it don't take
 * what it waits for. Only a job that waits to be alone, which may be for hours, lets others begin meanwhile:
 * all of them while a job that began before its turn is in its way, as it could not begin anyway, and
 * otherwise for fifty minutes of each hour. After a day the others wait.
 */
export function chooseJobs(
  waiting: readonly Job[],
  running: readonly RunningJob[],
  { parallel, nowMs }: { readonly parallel: number; readonly nowMs: number },
): Job[] {
  const claimed: Job[] = [...running];
  const chosen: Job[] = [];
  for (const job of waiting) {
    if (running.length + chosen.length >= parallel) break;
    const isFree = claimed.every((other) => !isInTheWay(other, job));
    if (isFree) chosen.push(job);
    if (isFree || !letsOthersPass(job, running, nowMs)) claimed.push(job);
  }
  return chosen;
}

function letsOthersPass(job: Job, running: readonly RunningJob[], nowMs: number): boolean {
  if (!isAlone(job)) return false;
  const turnMs = job.sinceMs + patienceOf(job);
  if (running.some((other) => other.beganMs <= turnMs && isInTheWay(other, job))) return true;
  const waitedMs = nowMs - turnMs;
  return waitedMs < dayMs && waitedMs % hourMs >= aloneForMs;
}

function isInTheWay(other: Job, job: Job): boolean {
  if (other.subjects.some((identity) => job.subjects.includes(identity))) return true;
  return other.repository === job.repository && (isAlone(other) || isAlone(job));
}

function isAlone({ action }: Job): boolean {
  return action === 'forget' || action === 'prune';
}
