import type { ForgetDone, ForgetPlan } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { describePruneReport } from '../describe-prune.ts';
import { localTime } from '../../../model/local-time.ts';
import {
  type KeepFlags,
  keepRulesOf,
  parseCount,
  type PruneLimitFlags,
  pruneLimitsOf,
  tagLists,
} from '../retention-flags.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface ForgetFlags extends KeepFlags, PruneLimitFlags {
  readonly keepVerified?: string;
  readonly tag?: readonly string[];
  readonly allowEmpty?: boolean;
  readonly allHosts?: boolean;
  readonly prune?: boolean;
  readonly dryRun?: boolean;
}

export async function runForget(
  session: Session,
  flags: ForgetFlags,
  targets: readonly string[],
): Promise<void> {
  const { app, signal } = session;
  const limits = pruneLimitsOf(flags);
  const request = {
    targets,
    tags: tagLists(flags.tag),
    rules: keepRulesOf(flags),
    keepVerified: flags.keepVerified === undefined ? undefined : parseCount(flags.keepVerified),
    allowEmpty: flags.allowEmpty ?? false,
    allHosts: flags.allHosts ?? false,
  };
  const plan = await app.retention.planForget(request, { signal, onNote: session.warn });
  const leaving = leavingOf(plan);
  if (flags.dryRun || leaving.length === 0)
    return print(session, plan, { removed: [], dryRun: flags.dryRun ?? false });
  session.note(describe(plan));
  if (plan.refusal !== undefined) throw plan.refusal;
  const what = leaving.length === 1 ? 'this snapshot' : `these ${leaving.length} snapshots`;
  if (!(await session.confirm(`Remove ${what}?`))) return session.note('Nothing was removed.');
  using progress = session.progress('Forget');
  const options = { signal, onProgress: progress.onProgress };
  const { removed } = await app.retention.applyForget(plan, options);
  try {
    const pruned = flags.prune ? await app.retention.prune(limits, options) : undefined;
    progress[Symbol.dispose]();
    print(session, plan, { removed, dryRun: false, pruned });
  } catch (error) {
    progress[Symbol.dispose]();
    print(session, plan, { removed, dryRun: false });
    throw error;
  }
}

function print(session: Session, plan: ForgetPlan, done: ForgetDone): void {
  const { removed, pruned } = done;
  const leaving = leavingOf(plan);
  session.printer.print({
    json: () => session.app.retention.asJson.forget(plan, done),
    text: () =>
      removed.length === 0
        ? describe(plan)
        : [
            `Removed ${removed.length} ${removed.length === 1 ? 'snapshot' : 'snapshots'}.`,
            pruned === undefined ? 'Their data is freed by "holdfast prune".' : describePruneReport(pruned),
          ].join('\n'),
    quiet: () => leaving,
  });
}

function leavingOf(plan: ForgetPlan): string[] {
  const decisions = plan.groups.flatMap((group) => group.decisions);
  return [...decisions.filter(({ stays }) => !stays).map(({ snapshot }) => snapshot.id), ...plan.damaged];
}

/** Every snapshot with the decision and its reason, the newest of each volume first. */
function describe(plan: ForgetPlan): string {
  const rows = plan.groups.flatMap((group) => group.decisions);
  if (rows.length + plan.damaged.length === 0) return 'There are no snapshots.';
  const table = formatTable(rows, [
    { title: 'FATE', value: ({ stays }) => (stays ? 'stays' : 'goes') },
    { title: 'ID', value: ({ snapshot }) => snapshot.id.slice(0, 8) },
    { title: 'VOLUME', value: ({ snapshot }) => printableField(snapshot.name) },
    { title: 'TIME', value: ({ snapshot }) => localTime(snapshot.time) },
    { title: 'WHY', value: ({ reasons }) => printableField(reasons.join(', ')) },
  ]);
  const goes = leavingOf(plan).length;
  return [
    ...(rows.length > 0 ? [table] : []),
    ...plan.damaged.map((id) => `goes    ${id.slice(0, 8)}   a record that cannot be read`),
    `${rows.length + plan.damaged.length - goes} stay, ${goes} ${goes === 1 ? 'goes' : 'go'}.`,
    ...(plan.refusal === undefined
      ? []
      : [`As things are now, it is refused: ${printableField(plan.refusal.message)}.`]),
  ].join('\n');
}
