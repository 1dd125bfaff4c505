import type { PolicyMemory } from '../catalog/catalog.ts';
import { errorInWords, knownError } from '../lib/known-error.ts';
import type { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Happening } from '../activity/index.ts';
import type { DueTask } from './plan-due.ts';
import type { Job } from './plan-jobs.ts';
import type { Policy } from '../model/policy.ts';
import { noteAnomalies } from './note-anomalies.ts';
import type { Attempt, PolicyProgress } from './progress.ts';
import type { Subject } from './subject.ts';
import type { PolicyWork, SubjectOutcome, UpkeepOutcome } from './work.ts';
import { localTime } from '../model/local-time.ts';

export interface JobScope {
  readonly work: PolicyWork;
  readonly memory: PolicyMemory;
  readonly progress: PolicyProgress;
  readonly now: () => number;
  readonly say: (message: string) => void;
  readonly signal: AbortSignal;
}

/** The follow-up of a job: snapshots whose rules are to be applied now. */
export interface ForgetJob {
  readonly policy: Policy;
  readonly repository: string;
  readonly subject: Subject;
}

/** Runs a job and records its outcome. Never throws. */
export async function runJob(scope: JobScope, job: Job): Promise<readonly ForgetJob[]> {
  const attempts = job.tasks.map((due) => scope.progress.begin(due));
  try {
    if (job.action === 'backup') return await runBackup(scope, job, attempts);
    const outcome = await runUpkeep(scope, job);
    for (const attempt of attempts) await endUpkeep(scope, attempt, outcome);
  } catch (error) {
    for (const attempt of attempts)
      await endFailed(scope, attempt, knownError(error, `Cannot run the policy ${quote(job.policy.name)}`));
  }
  return [];
}

async function runBackup(scope: JobScope, job: Job, attempts: readonly Attempt[]): Promise<ForgetJob[]> {
  const subjects = attempts.flatMap(({ due }) => due.task.subject ?? []);
  const { policy, repository } = job;
  const outcomes = await scope.work.backup({ policy, repository, subjects }, options(scope));
  const settings: ForgetJob[] = [];
  for (const attempt of attempts) {
    const { subject, policy: own } = attempt.due.task;
    if (subject === undefined) continue;
    const outcome = outcomes.find(({ identity }) => identity === subject.identity);
    if (outcome === undefined) {
      await endFailed(scope, attempt, missingError(subject.name));
      continue;
    }
    await endBackup(scope, attempt, outcome);
    if (outcome.outcome === 'good' && own.keep !== undefined)
      settings.push({ policy: own, repository, subject });
  }
  return settings;
}

async function endBackup(scope: JobScope, attempt: Attempt, outcome: SubjectOutcome): Promise<void> {
  const { subject, policy } = attempt.due.task;
  if (subject === undefined) return;
  const { snapshotId, error, repositoryId } = outcome;
  noteAnomalies(scope, subject, outcome);
  const willRetry = scope.progress.end(attempt, {
    outcome: outcome.outcome,
    code: error?.code,
    message: error?.message,
    snapshotId,
  });
  scope.say(describeBackup(subject.name, outcome, willRetry));
  const stack = subject.stack;
  await tell(
    scope,
    outcome.anomalies.map(({ kind, message }) => ({
      what: 'anomaly',
      work: 'backup',
      subject: subject.name,
      fingerprint: kind,
      message: `${quote(subject.name)} ${message}`,
      hint: `Nothing of it is forgotten or pruned until you look: holdfast policy accept ${subject.name}`,
      policy: policy.name,
      snapshot: snapshotId,
      stack,
    })),
  );
  if (repositoryId !== undefined && snapshotId !== undefined) await tellMissed(scope, attempt.due);
}

function describeBackup(
  name: string,
  { outcome, snapshotId, error }: SubjectOutcome,
  willRetry: boolean,
): string {
  if (error !== undefined)
    return `${quote(name)}: ${errorInWords(error)}${willRetry ? '; it is tried again' : ''}`;
  return `${quote(name)}: saved as ${snapshotId?.slice(0, 8) ?? '?'}${outcome === 'partial' ? ', not all of it' : ''}`;
}

async function runUpkeep(scope: JobScope, job: Job): Promise<UpkeepOutcome> {
  const { policy, repository, action, tasks } = job;
  const request = { policy, repository };
  const percent = tasks[0]?.task.percent ?? 0;
  if (action === 'prune') return await scope.work.prune(request, options(scope));
  if (action === 'check') return await scope.work.check({ ...request, percent }, options(scope));
  if (action === 'verify') return await scope.work.verify({ ...request, percent }, options(scope));
  const subjects = tasks.flatMap(({ task }) => task.subject ?? []);
  return await scope.work.drill({ ...request, subjects }, options(scope));
}

async function endUpkeep(
  scope: JobScope,
  attempt: Attempt,
  { outcome, message }: UpkeepOutcome,
): Promise<void> {
  const { action, repository, subject } = attempt.due.task;
  const code = outcome === 'failed' ? 'integrity' : undefined;
  scope.progress.end(attempt, { outcome, code, message, snapshotId: undefined });
  scope.say(
    `${action} of ${quote(subject?.name ?? repository)}: ${outcome}${message === undefined ? '' : `, ${message}`}`,
  );
  if (outcome === 'waiting') return;
  await tell(scope, [
    happeningOf(attempt.due, {
      what: outcome,
      fingerprint: outcome,
      message: message ?? `${action} is ${outcome}`,
    }),
  ]);
}

async function endFailed(scope: JobScope, attempt: Attempt, error: AppError): Promise<void> {
  const { task } = attempt.due;
  const isStopped = scope.signal.aborted;
  const willRetry = scope.progress.end(attempt, {
    outcome: isStopped ? 'cancelled' : 'failed',
    code: error.code,
    message: error.message,
    snapshotId: undefined,
  });
  scope.say(
    `${task.action} of ${quote(task.subject?.name ?? task.repository)}: ${errorInWords(error)}${willRetry && !isStopped ? '; it is tried again' : ''}`,
  );
  // A backup reports its own failures.
  if (isStopped || task.action === 'backup') return;
  await tell(scope, [
    happeningOf(attempt.due, {
      what: 'failed',
      fingerprint: error.code,
      message: error.message,
      detail: error.detail,
      hint: error.hint,
    }),
  ]);
}

/** Reports times that passed without a run. */
export async function tellMissed(scope: Pick<JobScope, 'work' | 'say' | 'now'>, due: DueTask): Promise<void> {
  const { task, missed, firstMs, isWanted } = due;
  if (missed === 0) return;
  const subject = task.subject?.name ?? task.repository;
  const times = missed === 1 ? 'One time' : `${missed} times`;
  const message = `${times} of the policy ${quote(task.policy.name)} passed without its ${task.action} of ${quote(subject)}, since ${localTime(firstMs)}${isWanted ? '; one run makes up for it' : ''}`;
  scope.say(`${message}.`);
  await tell(scope, [
    { ...happeningOf(due, { what: 'missed', fingerprint: 'missed', message }), work: 'schedule' },
  ]);
}

function happeningOf(
  { task }: DueTask,
  what: Pick<Happening, 'what' | 'fingerprint' | 'message' | 'detail' | 'hint'>,
): Happening {
  const work = task.action === 'check' ? 'verify' : task.action === 'forget' ? 'prune' : task.action;
  return {
    ...what,
    work,
    subject: task.subject?.name ?? task.repository,
    stack: task.subject?.stack,
    policy: task.policy.name,
  };
}

/** Never throws: a notification that fails is a message. */
export async function tell(
  { work, say }: Pick<JobScope, 'work' | 'say'>,
  happenings: readonly Happening[],
): Promise<void> {
  if (happenings.length === 0) return;
  try {
    await work.tell(happenings);
  } catch (error) {
    say(`Warning: no channel could be told: ${knownError(error).message}`);
  }
}

function options({ signal, say }: JobScope): { signal: AbortSignal; onNote: (message: string) => void } {
  return { signal, onNote: say };
}

function missingError(name: string): AppError {
  return knownError(new Error(`Nothing is known of what became of ${quote(name)}`));
}
