import { errorInWords, knownError } from '../lib/known-error.ts';
import type { ErrorCode } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { type ForgetJob, type JobScope, tell } from './run-job.ts';
import type { Forgotten } from './work.ts';

type ForgetScope = Pick<JobScope, 'work' | 'memory' | 'say' | 'signal'>;

/**
 * Applies the rules of policies to what they have just saved. Never throws: a forget that fails is repeated
 * after the next backup.
 */
export async function runForget(scope: ForgetScope, settings: readonly ForgetJob[]): Promise<void> {
  for (const request of settings) {
    if (scope.signal.aborted) break;
    const name = quote(request.subject.name);
    const about = {
      work: 'prune',
      subject: request.subject.name,
      policy: request.policy.name,
      stack: request.subject.stack,
    } as const;
    try {
      await forgetOne(scope, request);
      const message = `The snapshots of ${name} are thinned out again`;
      await tell(scope, [{ ...about, what: 'good', onlyRecovery: true, message }]);
    } catch (error) {
      const known = knownError(error);
      const message = `The snapshots of ${name} are not thinned out: ${known.message}`;
      scope.say(`Warning: the snapshots of ${name} are not thinned out: ${errorInWords(known)}`);
      if (scope.signal.aborted || passing.has(known.code)) continue;
      const { code: fingerprint, detail, hint } = known;
      await tell(scope, [{ ...about, what: 'failed', fingerprint, message, detail, hint }]);
    }
  }
}

/** The next backup repeats the forget, or reports the same error itself. */
const passing: ReadonlySet<ErrorCode> = new Set(['cancelled', 'locked', 'in-use', 'unavailable']);

async function forgetOne(
  { work, memory, say, signal }: ForgetScope,
  { policy, repository, subject }: ForgetJob,
): Promise<void> {
  const held = memory.listOpenAnomalies().find(({ volumeIdentity }) => volumeIdentity === subject.identity);
  if (held !== undefined) {
    say(`Nothing of ${quote(subject.name)} is forgotten: it ${held.message}. See "holdfast policy accept".`);
    return;
  }
  // Recorded before any removal: after a kill, prune has to know of it.
  const beforeRemoval = ({ identity, name, repositoryId, times }: Forgotten): void => {
    const newest = times
      .map((time) => new Date(time).toISOString())
      .toSorted()
      .at(-1);
    if (newest === undefined) return;
    memory.noteForgotten({ repositoryId, volumeIdentity: identity, volumeName: name, newest });
    say(
      `${quote(name)}: ${times.length === 1 ? 'one snapshot is' : `${times.length} snapshots are`} forgotten`,
    );
  };
  await work.forget({ policy, repository, subjects: [subject] }, { signal, onNote: say, beforeRemoval });
}
