import type { CopyReport, OtherRepository } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { AppError } from '../../../model/errors.ts';
import { formatSize } from '../../../model/size.ts';
import { otherPassword } from '../other-password.ts';
import type { Session } from '../session.ts';
import { localTime } from '../../../model/local-time.ts';

export interface CopyFlags {
  readonly toRepo?: string;
  readonly toPasswordFile?: string;
  readonly toPasswordCommand?: string;
  readonly dryRun?: boolean;
}

export async function runCopy(
  session: Session,
  flags: CopyFlags,
  references: readonly string[],
): Promise<void> {
  using progress = session.progress('Copy');
  const report = await session.app.repositories.copy(
    { to: targetOf(flags), references, dryRun: flags.dryRun ?? false },
    { signal: session.signal, onProgress: progress.onProgress, onNote: session.warn },
  );
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => report,
    text: () => describe(report),
    quiet: () => report.copied.map(({ id, newId }) => newId ?? id),
  });
  const { failed } = report;
  for (const { id, name, message } of failed) {
    const what = name === '' ? '' : ` of ${printableField(name)}`;
    session.warn(`Not copied: snapshot ${id.slice(0, 8)}${what}: ${printableField(message)}`);
  }
  if (failed.length === 0) return;
  const count = failed.length === 1 ? 'One snapshot is' : `${failed.length} snapshots are`;
  throw new AppError('integrity', `${count} damaged, and not copied`, {
    hint: 'Run "holdfast check --read-data"; docs/guides/worst-day.md says how to repair.',
  });
}

function targetOf({ toRepo, toPasswordFile, toPasswordCommand }: CopyFlags): OtherRepository {
  if (toRepo === undefined)
    throw new AppError('usage', 'Where to copy is missing', {
      hint: 'Name the other repository with --to-repo.',
    });
  return { repository: toRepo, passwordReference: otherPassword(toPasswordFile, toPasswordCommand) };
}

function describe({ dryRun, copied, present, blobs, bytes }: CopyReport): string {
  const lines = copied.map(({ id, name, time, newId }) => {
    const what = `${id.slice(0, 8)} of ${printableField(name)} (${localTime(time)})`;
    return newId === undefined ? `Would copy ${what}` : `Copied ${what} as ${newId.slice(0, 8)}`;
  });
  if (present.length > 0)
    lines.push(`${present.length} ${present.length === 1 ? 'snapshot is' : 'snapshots are'} there already.`);
  if (copied.length + present.length === 0) lines.push('There are no snapshots to copy.');
  if (!dryRun && copied.length > 0) lines.push(`${blobs} blobs, ${formatSize(bytes)} stored.`);
  return lines.join('\n');
}
