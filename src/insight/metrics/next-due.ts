import type { PolicyAnswer } from '../../catalog/catalog.ts';
import type { PolicyCursor } from '../../model/policy-run.ts';
import type { PolicyLook } from '../../policies/index.ts';

type Task = PolicyLook['tasks'][number];

/** A time further ahead than this was written by a wrong clock. */
const wrongClockMs = 60 * 60_000;

/** What is remembered of a task. */
interface Remembered {
  readonly answer: PolicyAnswer | undefined;
  readonly cursor: PolicyCursor | undefined;
  readonly isDaemonThere: boolean;
}

/**
 * The first scheduled time that no good run has answered yet; in the past for what is late, whether it failed,
 * was missed, or never began. Unlike the daemon's own next time, it does not move on by a failure. A schedule
 * that has changed is counted from its change. Pure.
 */
export function nextDueMs(task: Task, remembered: Remembered, nowMs: number): number | undefined {
  const next = task.timetable.next(answeredMs(task, remembered, nowMs));
  return next === undefined ? undefined : next + task.delayMs;
}

function answeredMs(task: Task, { answer, cursor, isDaemonThere }: Remembered, nowMs: number): number {
  const times: number[] = [];
  const isBySchedule = answer !== undefined && answer.schedule === task.schedule;
  // The first time that was begun, unless a good run answered it, is late.
  if (isBySchedule) times.push(Date.parse(answer.since) - 1000);
  else if (cursor !== undefined && cursor.schedule === task.schedule)
    times.push(Date.parse(cursor.handledUntil));
  // A policy that is only run by hand, or by cron, answers its schedule as well.
  if (answer?.good !== undefined && (isBySchedule || answer.schedule === undefined))
    times.push(Date.parse(answer.good.scheduledAt));
  const believable = times.filter((time) => time <= nowMs + wrongClockMs);
  if (believable.length > 0) return Math.max(...believable);
  return isDaemonThere ? nowMs : unseenMs(task, nowMs);
}

/** Without a daemon, and never run: its last time is missed already, unless the volume is newer. */
function unseenMs({ timetable, delayMs, subject }: Task, nowMs: number): number {
  const lastMs = timetable.last(nowMs - delayMs);
  if (lastMs === undefined) return nowMs;
  const createdMs = Date.parse(subject?.createdAt ?? '');
  return createdMs <= nowMs ? Math.max(lastMs - 1000, createdMs) : lastMs - 1000;
}
