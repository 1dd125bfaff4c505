import type { PolicyMemory } from '../catalog/catalog.ts';
import type { ErrorCode } from '../model/errors.ts';
import type { PolicyCursor, PolicyOutcome } from '../model/policy-run.ts';
import { type DueTask, settledCursor } from './plan-due.ts';

export interface AttemptEnd {
  readonly outcome: PolicyOutcome;
  readonly code: ErrorCode | undefined;
  readonly message: string | undefined;
  readonly snapshotId: string | undefined;
}

/** A run that has begun. */
export interface Attempt {
  /** Undefined when the run could not be recorded. */
  readonly number: number | undefined;
  readonly due: DueTask;
}

const minuteMs = 60_000;
const longestWaitMs = 30 * minuteMs;
/**
 * After this many attempts a failed task waits for its next time. One that failed because something is away is
 * retried without end.
 */
const triesOfWhatFails = 3;
const triesOfWhatIsKilled = 12;
/** A cap, so that a task that was away for long and is then killed still has attempts left. */
const countedOfWhatIsAway = 6;

/**
 * How far each task has come, in memory and in the catalog. A write that fails (a full disk) stays in memory,
 * and is repeated with the next one.
 */
export class PolicyProgress {
  readonly #memory: PolicyMemory;
  readonly #now: () => number;
  readonly #cursors: Map<string, PolicyCursor>;
  readonly #unwritten = new Set<string>();
  readonly #onFault: (error: unknown) => void;

  constructor(memory: PolicyMemory, now: () => number, onFault: (error: unknown) => void) {
    this.#memory = memory;
    this.#now = now;
    this.#onFault = onFault;
    this.#cursors = new Map(memory.listCursors().map((cursor) => [cursor.task, cursor]));
  }

  get cursors(): ReadonlyMap<string, PolicyCursor> {
    return this.#cursors;
  }

  save(cursors: readonly PolicyCursor[]): void {
    for (const cursor of cursors) {
      this.#cursors.set(cursor.task, cursor);
      this.#unwritten.add(cursor.task);
    }
    if (this.#unwritten.size === 0) return;
    const pending = [...this.#unwritten].flatMap((task) => this.#cursors.get(task) ?? []);
    const written = this.#attempt(() => {
      this.#memory.saveCursors(pending);
      return true;
    });
    if (written === true) this.#unwritten.clear();
  }

  /**
   * The attempt is counted before it begins: a task that kills this process each time is not retried for
   * ever.
   */
  begin(due: DueTask): Attempt {
    const { task, attempts, dueMs, isAlong = false } = due;
    const cursor = isAlong ? undefined : this.#tried(due, { attempts: attempts + 1, retryAt: undefined });
    if (cursor !== undefined) this.#cursors.set(task.key, cursor);
    const number = this.#attempt(() =>
      this.#memory.beginRun(
        {
          policy: task.policy.name,
          action: task.action,
          repository: task.repository,
          subject: task.subject?.identity ?? '',
          name: task.subject?.name ?? task.repository,
          scheduledAt: new Date(dueMs).toISOString(),
          // Only a manual run starts at exactly the millisecond that it is scheduled at: that tells it apart.
          startedAt: new Date(this.#now() === dueMs ? dueMs + 1 : this.#now()).toISOString(),
        },
        cursor,
      ),
    );
    return { number, due };
  }

  /** Returns whether it will be retried before its next time. */
  end({ number, due }: Attempt, end: AttemptEnd): boolean {
    // A task that was already done stays done, even if it fails when repeated with its stack.
    const cursor = due.isAlong === true ? undefined : this.#after(due, end);
    if (cursor !== undefined) this.#cursors.set(due.task.key, cursor);
    const { outcome, message, snapshotId } = end;
    const written = this.#attempt(() => {
      if (number === undefined) this.#memory.saveCursors(cursor === undefined ? [] : [cursor]);
      else this.#memory.endRun(number, { endedAt: this.#time(), outcome, message, snapshotId }, cursor);
      return true;
    });
    if (written !== true) this.#unwritten.add(due.task.key);
    return cursor?.dueAt !== undefined;
  }

  #after(due: DueTask, { outcome, code }: AttemptEnd): PolicyCursor {
    const begun = due.attempts + 1;
    const attempts = isAway(code) ? Math.min(begun, countedOfWhatIsAway) : begun;
    if (outcome === 'cancelled') return this.#tried(due, { attempts: due.attempts, retryAt: 0 });
    if (outcome === 'waiting') return this.#tried(due, { attempts: due.attempts, retryAt: longestWaitMs });
    if (outcome !== 'failed' || isHopeless(code, attempts)) return settledCursor(due.task, due.dueMs);
    return this.#tried(due, { attempts, retryAt: Math.min(minuteMs * 2 ** (attempts - 1), longestWaitMs) });
  }

  #tried(
    { task, dueMs }: DueTask,
    { attempts, retryAt }: { attempts: number; retryAt: number | undefined },
  ): PolicyCursor {
    const known = this.#cursors.get(task.key) ?? settledCursor(task, dueMs - 1000);
    return {
      ...known,
      dueAt: new Date(dueMs).toISOString(),
      attempts,
      retryAt: retryAt === undefined ? undefined : new Date(this.#now() + retryAt).toISOString(),
    };
  }

  #time(): string {
    return new Date(this.#now()).toISOString();
  }

  #attempt<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      this.#onFault(error);
      return undefined;
    }
  }
}

/** True when a task was killed so often that it is skipped until its next time. */
export function isKiller({ attempts, wasKilled }: DueTask): boolean {
  return wasKilled && attempts >= triesOfWhatIsKilled;
}

function isHopeless(code: ErrorCode | undefined, attempts: number): boolean {
  if (code === 'not-found') return true;
  if (isAway(code)) return false;
  return attempts >= triesOfWhatFails;
}

/** True when the work itself is not at fault. */
export function isAway(code: ErrorCode | undefined): boolean {
  return code === 'unavailable' || code === 'locked' || code === 'in-use';
}
