import type { IndexRepairReport } from '../../../app/app.ts';
import { amount } from '../../../model/size.ts';
import { AppError } from '../../../model/errors.ts';
import type { Session } from '../session.ts';

export interface RepairIndexFlags {
  readonly readAllPacks?: boolean;
  readonly dryRun?: boolean;
}

export async function runRepairIndex(session: Session, flags: RepairIndexFlags): Promise<void> {
  using progress = session.progress('Repair index');
  const report = await session.app.repositories.repairIndex(
    { readAllPacks: flags.readAllPacks ?? false, dryRun: flags.dryRun ?? false },
    { signal: session.signal, onProgress: progress.onProgress },
  );
  progress[Symbol.dispose]();
  session.printer.print({ json: () => report, text: () => describe(report) });
  const { unreadablePacks } = report;
  for (const { packId, message, isIndexed } of unreadablePacks.slice(0, 50)) {
    const rest = isIndexed ? '' : ' It is not known what it holds.';
    session.warn(`Damaged: pack "${packId.slice(0, 8)}": ${message}.${rest}`);
  }
  if (unreadablePacks.length === 0) return;
  const what =
    unreadablePacks.length === 1
      ? 'One pack does not say what it holds'
      : `${unreadablePacks.length} packs do not say what they hold`;
  throw new AppError('integrity', what, {
    hint: unreadablePacks.some(({ isIndexed }) => isIndexed)
      ? 'Save what is whole in them: holdfast repair packs --all-damaged'
      : 'They are left as they are, and "holdfast prune" removes them. Bring them back from a copy of the repository first, if there is one.',
  });
}

function describe(report: IndexRepairReport): string {
  const { dryRun, damagedIndexFiles, replacedIndexFiles, packs } = report;
  const lines = [
    ...line(damagedIndexFiles, 'damaged index file', dryRun ? 'would be replaced' : 'replaced'),
    ...line(report.addedPacks, 'pack that no index named', dryRun ? 'would be taken in' : 'taken in'),
    ...line(
      report.correctedPacks,
      'pack that was named wrongly',
      dryRun ? 'would be put right' : 'put right',
    ),
    ...line(report.missingPacks, 'pack that is gone', dryRun ? 'would be forgotten' : 'forgotten'),
  ];
  const isSame = replacedIndexFiles.length === 0 && report.addedPacks.length === 0;
  if (isSame) return `The index is right: it names ${amount(packs, 'pack')}.`;
  return [...lines, `The index ${dryRun ? 'would name' : 'names'} ${amount(packs, 'pack')}.`].join('\n');
}

function line(ids: readonly string[], what: string, done: string): string[] {
  if (ids.length === 0) return [];
  const shown = ids.slice(0, 8).map((id) => id.slice(0, 8));
  const more = ids.length > shown.length ? `, and ${ids.length - shown.length} more` : '';
  const name =
    ids.length === 1
      ? what
      : what
          .replace(/^(damaged index file|pack)/, '$1s')
          .replace('is gone', 'are gone')
          .replace('was named', 'were named');
  return [`${ids.length} ${name}, ${done}: ${shown.join(', ')}${more}`];
}
