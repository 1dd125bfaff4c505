import type { PolicyCursor } from '../model/policy-run.ts';
import { timesBetween } from '../lib/schedule.ts';
import type { Task } from './task.ts';

export interface DueTask {
  readonly task: Task;
  /** When it was scheduled. */
  readonly dueMs: number;
  /** The first scheduled time after the last that was done. */
  readonly sinceMs: number;
  /**
   * How many times passed without a run, at most a thousand: those before that one, and that one when it is
   * late.
   */
  readonly missed: number;
  /** The first time that was missed. */
  readonly firstMs: number;
  /** False when its time passed and it is not to be caught up. */
  readonly isWanted: boolean;
  /** How many attempts this time has had. */
  readonly attempts: number;
  /** The last attempt has no end: its process was killed. */
  readonly wasKilled: boolean;
  /** Already done for this time, and done again because another volume of its stack is retried. */
  readonly isAlong?: boolean;
}

export interface DuePlan {
  /** The longest-waiting first. */
  readonly due: readonly DueTask[];
  /** Cursors to save: of tasks that are new, whose schedule changed, or that a wrong clock moved. */
  readonly changed: readonly PolicyCursor[];
  /** When the next task or retry is due, if nothing changes. */
  readonly wakeMs: number | undefined;
}

/** A task that begins this late is no longer in time. */
export const lateMs = 15 * 60_000;
/** A clock set back by less repeats nothing; by more, it was wrong before. */
const wrongClockMs = 60 * 60_000;
const countedAtMost = 1000;

/**
 * What is due now; pure. Each task is due once, for the last of its times that has come, however many came
 * since its last run: nothing runs twice for one time, and missed times are caught up once.
 */
export function planDue(
  tasks: readonly Task[],
  cursors: ReadonlyMap<string, PolicyCursor>,
  nowMs: number,
): DuePlan {
  const due: DueTask[] = [];
  const changed: PolicyCursor[] = [];
  let wakeMs: number | undefined;
  const wake = (timeMs: number | undefined): void => {
    if (timeMs !== undefined && (wakeMs === undefined || timeMs < wakeMs)) wakeMs = timeMs;
  };
  for (const task of tasks) {
    const known = cursors.get(task.key);
    const cursor = soundCursor(task, known, nowMs);
    if (cursor !== known) changed.push(cursor);
    const handledMs = Date.parse(cursor.handledUntil);
    const lastMs = task.timetable.last(nowMs - task.delayMs);
    if (lastMs === undefined || lastMs <= handledMs) {
      wake(nextOf(task, Math.max(handledMs, nowMs - task.delayMs)));
      continue;
    }
    const isSame = cursor.dueAt !== undefined && Date.parse(cursor.dueAt) === lastMs;
    const retryMs = isSame && cursor.retryAt !== undefined ? Date.parse(cursor.retryAt) : nowMs;
    // A retry time further ahead than the longest wait was set by a wrong clock.
    if (retryMs > nowMs && retryMs <= nowMs + wrongClockMs) {
      wake(Math.min(retryMs, nextOf(task, lastMs) ?? retryMs));
      continue;
    }
    const attempts = isSame ? cursor.attempts : 0;
    const wasKilled = attempts > 0 && cursor.retryAt === undefined;
    due.push({ ...dueTask(task, { handledMs, lastMs, nowMs, attempts }), wasKilled });
  }
  due.sort((a, b) => a.sinceMs - b.sinceMs);
  return { due, changed, wakeMs };
}

export function nextOf({ timetable, delayMs }: Task, afterMs: number): number | undefined {
  const next = timetable.next(afterMs);
  return next === undefined ? undefined : next + delayMs;
}

/** The cursor as it is, or a new one that begins now. */
function soundCursor(task: Task, cursor: PolicyCursor | undefined, nowMs: number): PolicyCursor {
  const isSound =
    cursor !== undefined &&
    cursor.schedule === task.schedule &&
    Date.parse(cursor.handledUntil) <= nowMs + wrongClockMs;
  return isSound ? cursor : settledCursor(task, nowMs);
}

/** A cursor by which everything until then is done. */
export function settledCursor({ key, schedule }: Task, untilMs: number): PolicyCursor {
  const handledUntil = new Date(untilMs).toISOString();
  return { task: key, schedule, handledUntil, dueAt: undefined, attempts: 0, retryAt: undefined };
}

interface Lateness {
  readonly handledMs: number;
  readonly lastMs: number;
  readonly nowMs: number;
  readonly attempts: number;
}

function dueTask(task: Task, { handledMs, lastMs, nowMs, attempts }: Lateness): Omit<DueTask, 'wasKilled'> {
  const span = { afterMs: handledMs, untilMs: lastMs - 1000, atMost: countedAtMost };
  const before = attempts > 0 ? [] : timesBetween(task.timetable, span);
  const isLate = attempts === 0 && nowMs - lastMs - task.delayMs > lateMs;
  return {
    task,
    dueMs: lastMs,
    sinceMs: (task.timetable.next(handledMs) ?? lastMs) + task.delayMs,
    missed: before.length + (isLate ? 1 : 0),
    firstMs: before[0] ?? lastMs,
    isWanted: task.policy.catchUp || !isLate,
    attempts,
  };
}
