import { errorInWords, knownError } from '../lib/known-error.ts';
import type { BackupOutcome } from './backup-types.ts';
import type { AuditLog, Happening, JobOptions, Notifier } from '../activity/index.ts';
import { policyOfTags } from '../model/policy.ts';
import type { TargetRequest } from '../volumes/index.ts';

/** The log, and the channels. */
export interface Told {
  readonly log: AuditLog;
  readonly notifier: () => Promise<Notifier>;
}

export interface BackupDone {
  readonly outcome: BackupOutcome;
  readonly repositoryId: string;
  readonly stack: string | undefined;
  /** The request's tags, which name the policy. */
  readonly tags: readonly string[];
}

/** Logs the outcome of one backup, and notifies the channels. */
export async function tellOfBackup(
  { log, notifier }: Told,
  { outcome, repositoryId, stack, tags }: BackupDone,
): Promise<void> {
  const { name, snapshot, error, problems } = outcome;
  const message = error === undefined ? problemsInWords(problems) : errorInWords(error);
  await log.record([
    {
      kind: 'backup',
      outcome: outcome.outcome,
      volume: name,
      snapshot: snapshot?.id,
      repository: repositoryId,
      message,
    },
  ]);
  const happening = happeningOf(outcome);
  const policy = policyOfTags(tags);
  if (happening !== undefined) (await notifier()).tell([{ ...happening, stack, policy }]);
}

function problemsInWords(problems: BackupOutcome['problems']): string | undefined {
  const [first] = problems;
  if (first === undefined) return undefined;
  const more = problems.length > 1 ? `, and ${problems.length - 1} more` : '';
  return `${first.message}${more}`;
}

/** Undefined for a backup that the user cancelled. */
function happeningOf(outcome: BackupOutcome): Happening | undefined {
  const { name, snapshot, error, summary, problems } = outcome;
  if (outcome.outcome === 'cancelled') return undefined;
  const message =
    error?.message ??
    (outcome.outcome === 'good'
      ? `"${name}" is saved`
      : `Not everything of "${name}" could be saved: ${problemsInWords(problems) ?? ''}`);
  return {
    what: outcome.outcome,
    work: 'backup',
    subject: name,
    fingerprint: error?.code ?? outcome.outcome,
    message,
    detail: error?.detail,
    hint: error?.hint,
    snapshot: snapshot?.id,
    durationMs: summary?.durationMs,
  };
}

/** In the log, the name of all volumes together, for a backup that failed before it came to any of them. */
export const allVolumes = 'all volumes';

/** Runs a whole backup. Also reports a failure of no volume, such as a repository that cannot be opened. */
export async function tellingOfFailure<T>(
  { log, notifier }: Told,
  request: TargetRequest & { readonly dryRun: boolean; readonly marks?: readonly string[] | undefined },
  {
    work,
    signal,
    isUsageTold = false,
  }: { readonly work: () => Promise<T>; readonly isUsageTold?: boolean } & Pick<JobOptions, 'signal'>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message, detail, hint } = knownError(error, 'Cannot back up');
    const isStopped = code === 'cancelled' || signal?.aborted === true;
    if (request.dryRun || isStopped || (code === 'usage' && !isUsageTold)) throw error;
    const subjects = [
      ...request.targets,
      ...request.stacks,
      ...(request.containers ?? []),
      ...(request.all ? [allVolumes] : []),
    ];
    await log.record(
      subjects.map((volume) => ({ kind: 'backup', outcome: 'failed', volume, message: errorInWords(error) })),
    );
    (await notifier()).tell(
      subjects.map((subject) => ({
        what: 'failed',
        work: 'backup',
        subject,
        fingerprint: code,
        message,
        detail,
        hint,
        policy: policyOfTags(request.marks ?? []),
      })),
    );
    throw error;
  }
}
