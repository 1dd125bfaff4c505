import type { PolicyMemory } from '../catalog/catalog.ts';
import { knownError } from '../lib/known-error.ts';
import { quote } from '../model/quote.ts';
import type { PolicyCursor, PolicyRunRecord } from '../model/policy-run.ts';
import type { PolicyProgress } from './progress.ts';
import { taskKey } from './task.ts';
import type { Clock, PolicyWork } from './work.ts';

const dayMs = 86_400_000;

interface SettleScope {
  readonly clock: Clock;
  readonly memory: PolicyMemory;
  readonly work: PolicyWork;
  readonly say: (message: string) => void;
}

/** Ends the runs that a killed daemon left open. One whose snapshot was saved after all is not repeated. */
export async function settleInterrupted(scope: SettleScope, progress: PolicyProgress): Promise<void> {
  for (const run of scope.memory.listRuns({ open: true, limit: 10_000 })) {
    if (mayBeAtWork(run, scope.clock.now())) continue;
    const isSaved = run.action === 'backup' && (await wasSaved(scope, run));
    const cursor = isSaved ? settledBy(run, progress.cursors) : undefined;
    // First: after a kill here, the run is still open, and nothing is done twice.
    if (cursor !== undefined) progress.save([cursor]);
    scope.memory.endRun(
      run.number,
      {
        endedAt: new Date(scope.clock.now()).toISOString(),
        outcome: isSaved ? 'good' : 'interrupted',
        snapshotId: undefined,
        message: isSaved ? 'it was saved before the daemon ended' : 'the daemon ended meanwhile',
      },
      undefined,
    );
    scope.say(
      `The ${run.action} of ${quote(run.name)} was interrupted${isSaved ? ' after it was saved' : ''}.`,
    );
  }
}

/** A manual run has no scheduled time, and its process may still be running. */
function mayBeAtWork({ scheduledAt, startedAt }: PolicyRunRecord, nowMs: number): boolean {
  return scheduledAt === startedAt && nowMs - Date.parse(startedAt) < dayMs;
}

async function wasSaved({ work, say }: SettleScope, run: PolicyRunRecord): Promise<boolean> {
  try {
    return await work.wasSaved(run);
  } catch (error) {
    say(`Warning: ${knownError(error).message}`);
    return false;
  }
}

function settledBy(
  run: PolicyRunRecord,
  cursors: ReadonlyMap<string, PolicyCursor>,
): PolicyCursor | undefined {
  const cursor = cursors.get(taskKey(run.action, run.repository, [run.policy, run.subject]));
  if (cursor?.dueAt !== run.scheduledAt) return undefined;
  return { ...cursor, handledUntil: run.scheduledAt, dueAt: undefined, attempts: 0, retryAt: undefined };
}
