import type { PolicyBackup, PolicyRunReport } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { printableField, quote } from '../../../model/quote.ts';
import { failAll } from '../fail-all.ts';
import type { Session } from '../session.ts';

export interface PolicyRunFlags {
  readonly dryRun?: boolean;
}

export async function runPolicyRun(
  session: Session,
  flags: PolicyRunFlags,
  args: readonly string[],
): Promise<void> {
  using progress = session.progress('Backup');
  const report = await session.app.policies.run(
    { name: args[0] ?? '', dryRun: flags.dryRun ?? false },
    { signal: session.signal, onProgress: progress.onProgress, onNote: session.note },
  );
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => session.app.policies.asJson.run(report),
    text: () => report.backups.map((backup) => describe(backup, report.dryRun)).join('\n'),
    quiet: () => report.backups.flatMap(({ snapshotId }) => snapshotId ?? []),
  });
  conclude(session, report);
}

function describe(
  { name, repository, outcome, snapshotId, wouldForget }: PolicyBackup,
  dryRun: boolean,
): string {
  const where = `${printableField(name)} in ${printableField(repository)}`;
  if (!dryRun)
    return `${where}: ${snapshotId === undefined ? (outcome ?? 'failed') : `saved as ${snapshotId.slice(0, 8)}`}`;
  const goes = wouldForget.map((id) => id.slice(0, 8)).join(', ');
  return `${where}: would be saved${goes === '' ? '' : `; of the snapshots that there are, the rules would remove ${goes}`}`;
}

function conclude(session: Session, { backups }: PolicyRunReport): void {
  const errors = backups.flatMap(({ error }) => error ?? []);
  const cancelled = errors.find(({ code }) => code === 'cancelled');
  if (cancelled !== undefined) throw cancelled;
  failAll(session, errors, backups.length - errors.length);
  const partial = backups.filter(({ outcome }) => outcome === 'partial');
  if (partial.length === 0) return;
  throw new AppError(
    'partial',
    `Not everything of ${partial.map(({ name }) => quote(name)).join(', ')} could be saved`,
  );
}
