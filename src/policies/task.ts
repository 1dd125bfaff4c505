import { createHash } from 'node:crypto';
import type { PolicyAction } from '../model/policy-run.ts';
import type { Assignment } from './assign-policies.ts';
import type { Policy, Schedule } from '../model/policy.ts';
import { formatSchedule, type Timetable, timetables } from '../lib/schedule.ts';
import type { Subject } from './subject.ts';

/** A recurring task: one action of a policy, on one volume or one repository. */
export interface Task {
  /** Stable over restarts, and the same for two policies that ask for the same of one repository. */
  readonly key: string;
  readonly action: PolicyAction;
  /** The policy as it applies to this subject. */
  readonly policy: Policy;
  readonly repository: string;
  /** Undefined for work on a whole repository. */
  readonly subject: Subject | undefined;
  readonly schedule: string;
  readonly timetable: Timetable;
  /** The constant delay after its scheduled time. */
  readonly delayMs: number;
  /** How much of the stored data a check or a verification reads. */
  readonly percent: number;
}

/** All recurring tasks of policies; pure. */
export function tasksOf(
  policies: readonly Policy[],
  assignments: readonly Assignment[],
  open: (schedule: Schedule) => Timetable = timetables(),
): Task[] {
  const tasks = new Map<string, Task>();
  const add = (request: TaskRequest): void => {
    const task = taskOf(request, open);
    if (!tasks.has(task.key)) tasks.set(task.key, task);
  };
  for (const { policy, subject } of assignments) {
    if (policy.schedule === undefined) continue;
    for (const repository of policy.repositories) {
      add({ action: 'backup', policy, repository, subject, schedule: policy.schedule });
      if (policy.drill !== undefined)
        add({ action: 'drill', policy, repository, subject, schedule: policy.drill });
    }
  }
  // The labels of one volume must not take a policy's upkeep from the others.
  for (const policy of [...policies, ...assignments.map((one) => one.policy)])
    for (const repository of policy.repositories)
      for (const request of upkeepOf(policy)) add({ ...request, policy, repository, subject: undefined });
  return [...tasks.values()];
}

interface TaskRequest {
  readonly action: PolicyAction;
  readonly policy: Policy;
  readonly repository: string;
  readonly subject: Subject | undefined;
  readonly schedule: Schedule;
  readonly percent?: number;
}

function upkeepOf({ prune, check, verify }: Policy): Pick<TaskRequest, 'action' | 'schedule' | 'percent'>[] {
  return [
    ...(prune === undefined ? [] : [{ action: 'prune', schedule: prune } as const]),
    ...(check === undefined ? [] : [{ action: 'check', ...check } as const]),
    ...(verify === undefined ? [] : [{ action: 'verify', ...verify } as const]),
  ];
}

function taskOf(request: TaskRequest, open: (schedule: Schedule) => Timetable): Task {
  const { action, policy, repository, subject, schedule, percent = 0 } = request;
  const rest =
    subject === undefined ? [formatSchedule(schedule), String(percent)] : [policy.name, subject.identity];
  return {
    key: taskKey(action, repository, rest),
    action,
    policy,
    repository,
    subject,
    percent,
    schedule: formatSchedule(schedule),
    timetable: open(schedule),
    delayMs: delayOf(policy, subject),
  };
}

export function taskKey(action: PolicyAction, repository: string, rest: readonly string[]): string {
  return JSON.stringify([action, repository, ...rest]);
}

/** Volumes of one stack begin together, so that they can be saved at one moment. */
function delayOf({ name, jitterMs }: Policy, subject: Subject | undefined): number {
  if (jitterMs === 0) return 0;
  const seed = JSON.stringify([name, subject?.stack ?? subject?.identity ?? '']);
  const part = createHash('sha256').update(seed).digest().readUInt32BE(0) / 2 ** 32;
  // Whole seconds, as schedules are.
  return Math.floor((part * jitterMs) / 1000) * 1000;
}
