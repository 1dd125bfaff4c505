import type { AppError } from '../model/errors.ts';
import type { LogEvent } from '../model/log-entry.ts';
import type { SaveProblem } from '../model/snapshot.ts';
import type { Protection } from '../activity/index.ts';
import type { RestorePlan } from './restore-plan.ts';

type Parts = Pick<Protection, 'log' | 'repository'>;

export interface RestoredPlan {
  readonly problems: readonly SaveProblem[];
}

/** Writes into the log what became of plans: their reports in the same order, or why all of them failed. */
export async function tellOfRestores(
  parts: Parts,
  plans: readonly RestorePlan[],
  came: readonly RestoredPlan[] | AppError,
): Promise<void> {
  const repository = (await parts.repository()).id;
  const events = plans.map(({ destination, snapshot }, index): LogEvent => ({
    kind: 'restore',
    volume: destination.name,
    snapshot: snapshot.id,
    repository,
    ...('code' in came ? failed(came) : done(came[index])),
  }));
  await (await parts.log()).record(events);
}

function failed({ code, message }: AppError): Pick<LogEvent, 'outcome' | 'message'> {
  return { outcome: code === 'cancelled' ? 'cancelled' : 'failed', message };
}

function done(restored: RestoredPlan | undefined): Pick<LogEvent, 'outcome' | 'message'> {
  const [first] = restored?.problems ?? [];
  return { outcome: first === undefined ? 'good' : 'partial', message: first?.message };
}
