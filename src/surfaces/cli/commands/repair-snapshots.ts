import type { RepairedSnapshot, SnapshotRepairReport } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { AppError } from '../../../model/errors.ts';
import type { Session } from '../session.ts';
import { localTime } from '../../../model/local-time.ts';

export interface RepairSnapshotsFlags {
  readonly forget?: boolean;
  readonly dryRun?: boolean;
}

export async function runRepairSnapshots(
  session: Session,
  flags: RepairSnapshotsFlags,
  references: readonly string[],
): Promise<void> {
  const forget = flags.forget ?? false;
  const dryRun = flags.dryRun ?? false;
  if (forget && !dryRun) {
    const plan = await repair(session, { references, forget, dryRun: true });
    if (plan.repaired.length + plan.unreadableRecords.length === 0) return print(session, plan);
    session.note(describe(plan));
    if (!(await session.confirm('Remove the damaged snapshots, and keep what is left of them?')))
      return session.note('Nothing was changed.');
  }
  print(session, await repair(session, { references, forget, dryRun }));
}

interface Request {
  readonly references: readonly string[];
  readonly forget: boolean;
  readonly dryRun: boolean;
}

async function repair(session: Session, request: Request): Promise<SnapshotRepairReport> {
  using progress = session.progress('Repair snapshots');
  return await session.app.repositories.repairSnapshots(request, {
    signal: session.signal,
    onProgress: progress.onProgress,
  });
}

function print(session: Session, report: SnapshotRepairReport): void {
  session.printer.print({
    json: () => report,
    text: () => describe(report),
    quiet: () => report.repaired.flatMap(({ newId }) => newId ?? []),
  });
  const lost = report.repaired.reduce((sum, one) => sum + one.lost.length, 0);
  if (lost + report.unreadableRecords.length === 0) return;
  throw new AppError('partial', 'Not all that was saved is left', {
    hint: 'What is named above is lost, unless a copy of the repository has it.',
  });
}

function describe({ dryRun, snapshots, repaired, unreadableRecords }: SnapshotRepairReport): string {
  const lines = repaired.flatMap((one) => describeOne(one, dryRun));
  for (const id of unreadableRecords)
    lines.push(
      `Snapshot ${id.slice(0, 8)}: its record cannot be read. With --forget it is removed; until the next prune, "restic recover" may find its data.`,
    );
  if (lines.length === 0)
    return snapshots === 1 ? 'The snapshot is whole.' : `All ${snapshots} snapshots are whole.`;
  return lines.join('\n');
}

const shownAtMost = 50;

function describeOne(
  { id, name, time, newId, outcome, lost, forgotten }: RepairedSnapshot,
  dryRun: boolean,
): string[] {
  const what = `Snapshot ${id.slice(0, 8)} of ${printableField(name)} (${localTime(time)})`;
  const becomes =
    newId === undefined
      ? dryRun
        ? 'a new snapshot would take its place'
        : ''
      : `${newId.slice(0, 8)} takes its place`;
  const head =
    outcome === 'lost'
      ? `${what}: nothing of it is left`
      : `${what}: ${becomes}, without ${lost.length === 1 ? 'this' : `these ${lost.length}`}`;
  const shown =
    outcome === 'lost'
      ? []
      : lost
          .slice(0, shownAtMost)
          .map(({ path, type }) => `  ${path}${type === 'dir' ? '/ (all that was in it)' : ''}`);
  const more =
    lost.length > shownAtMost ? [`  and ${lost.length - shownAtMost} more; --format json lists all`] : [];
  return [head, ...shown, ...more, ...(forgotten ? ['  The damaged snapshot was removed.'] : [])];
}
