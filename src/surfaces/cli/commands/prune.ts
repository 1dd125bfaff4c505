import { describePrunePlan, describePruneReport } from '../describe-prune.ts';
import { type PruneLimitFlags, pruneLimitsOf } from '../retention-flags.ts';
import type { Session } from '../session.ts';

export interface PruneFlags extends PruneLimitFlags {
  readonly dryRun?: boolean;
}

export async function runPrune(session: Session, flags: PruneFlags): Promise<void> {
  const { app, signal } = session;
  const limits = pruneLimitsOf(flags);
  const dryRun = flags.dryRun ?? false;
  using progress = session.progress('Prune');
  const options = { signal, onProgress: progress.onProgress };
  const summary = dryRun
    ? await app.retention.planPrune(limits, options)
    : await app.retention.prune(limits, options);
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => ({ dryRun, ...summary }),
    text: () => (dryRun ? describePrunePlan(summary) : describePruneReport(summary)),
  });
}
