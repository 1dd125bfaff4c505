import type { PolicyAnswer } from '../../catalog/catalog.ts';
import type { PolicyCursor } from '../../model/policy-run.ts';
import type { PolicyLook } from '../../policies/index.ts';

type Task = PolicyLook['tasks'][number];

/** A time further ahead than this was written by a wrong clock. */
const wrongClockMs = 60 * 60_000;

/**
 * The first scheduled time that no good run has answered yet; in the past for what is late, whether it failed,
 * was missed, or never began. Unlike the daemon's own next time, it does not move on by a failure. A schedule
 * that has changed is counted from its change. Pure.
 */
export function nextDueMs(
  task: Task,
  {
    answer,
    cursor,
  }: { readonly answer: PolicyAnswer | undefined; readonly cursor: PolicyCursor | undefined },
  nowMs: number,
): number | undefined {
  const next = task.timetable.next(answeredMs(task, { answer, cursor }, nowMs));
  return next === undefined ? undefined : next + task.delayMs;
}

function answeredMs(
  task: Task,
  {
    answer,
    cursor,
  }: { readonly answer: PolicyAnswer | undefined; readonly cursor: PolicyCursor | undefined },
  nowMs: number,
): number {
  const times: number[] = [];
  if (answer !== undefined && answer.schedule === task.schedule) {
    // The first time that was begun, unless a good run answered it, is late.
    times.push(Date.parse(answer.since) - 1000);
    if (answer.good !== undefined) times.push(Date.parse(answer.good.scheduledAt));
  } else if (cursor !== undefined && cursor.schedule === task.schedule) {
    times.push(Date.parse(cursor.handledUntil));
  }
  const believable = times.filter((time) => time <= nowMs + wrongClockMs);
  return believable.length === 0 ? nowMs : Math.max(...believable);
}
