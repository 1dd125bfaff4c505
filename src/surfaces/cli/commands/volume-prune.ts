import type { PruneChoice, PrunePlan } from '../../../app/app.ts';
import { formatAge } from '../../../model/duration.ts';
import { printableField } from '../../../model/quote.ts';
import { parseVolumeFilter } from '../../../model/filter.ts';
import { formatSize } from '../../../model/size.ts';
import { failAll } from '../fail-all.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface VolumePruneFlags {
  readonly all?: boolean;
  readonly filter?: readonly string[];
  readonly dryRun?: boolean;
}

export async function runVolumePrune(session: Session, flags: VolumePruneFlags): Promise<void> {
  const filter = parseVolumeFilter([...(flags.filter ?? []), ...(flags.all ? ['all=true'] : [])], 'prune');
  const engine = await session.app.volumes.onHost();
  const plan = await engine.planPrune(filter, { signal: session.signal });
  if (flags.dryRun) return printPlan(session, plan);
  if (plan.remove.length === 0) {
    session.note('There is nothing to remove.');
    return session.printer.print({
      json: () => ({ removed: [], bytesReclaimed: 0, failures: [] }),
      text: () => '',
    });
  }
  session.note(describePlan(plan));
  const count = plan.remove.length === 1 ? 'this volume' : `these ${plan.remove.length} volumes`;
  if (!(await session.confirm(`Remove ${count} with all data?`))) return session.note('Nothing was removed.');
  const report = await engine.applyPrune(plan, { signal: session.signal });
  session.printer.print({
    json: () => ({
      ...report,
      failures: report.failures.map(({ name, error }) => ({
        name,
        code: error.code,
        message: error.message,
      })),
    }),
    text: () => [...report.removed, `Space reclaimed: ${formatSize(report.bytesReclaimed)}`].join('\n'),
    quiet: () => report.removed,
  });
  failAll(
    session,
    report.failures.map((failure) => failure.error),
    report.removed.length,
  );
}

function printPlan(session: Session, plan: PrunePlan): void {
  const choice = ({ volume, why, reason, bytes }: PruneChoice): object => ({
    name: volume.name,
    reason,
    why,
    bytes,
  });
  session.printer.print({
    json: () => ({ remove: plan.remove.map(choice), keep: plan.keep.map(choice) }),
    text: () => (plan.remove.length === 0 ? 'There is nothing to remove.' : describePlan(plan)),
    quiet: () => plan.remove.map(({ volume }) => volume.name),
  });
}

function describePlan(plan: PrunePlan): string {
  const now = new Date();
  const table = formatTable(plan.remove, [
    { title: 'NAME', value: ({ volume }) => printableField(volume.name) },
    { title: 'SIZE', value: ({ bytes }) => (bytes === undefined ? '' : formatSize(bytes)), align: 'right' },
    {
      title: 'AGE',
      value: ({ volume }) =>
        volume.createdAt === undefined ? '' : formatAge(volume.createdAt, now).replace(/ ago$/, ''),
    },
    { title: 'WHY', value: ({ why }) => printableField(why) },
  ]);
  const named = plan.keep.filter(({ reason }) => reason === 'named').length;
  return named === 0
    ? table
    : `${table}\n${named} unused with a name ${named === 1 ? 'stays' : 'stay'}; --all takes ${named === 1 ? 'it' : 'them'} too.`;
}
