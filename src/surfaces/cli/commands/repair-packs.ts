import type { PackRepairReport } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import type { Session } from '../session.ts';

export interface RepairPacksFlags {
  readonly allDamaged?: boolean;
  readonly dryRun?: boolean;
}

export async function runRepairPacks(
  session: Session,
  flags: RepairPacksFlags,
  args: readonly string[],
): Promise<void> {
  if ((args.length === 0) === !flags.allDamaged) {
    throw new AppError('usage', 'Name the packs, or use --all-damaged', {
      hint: '"holdfast check --read-data" names the damaged ones.',
    });
  }
  const plan = await repair(session, flags.allDamaged ? 'damaged' : args, true);
  if (flags.dryRun || plan.packs.length === 0) return print(session, plan);
  session.note(describe(plan));
  const what = plan.packs.length === 1 ? 'this pack' : `these ${plan.packs.length} packs`;
  if (!(await session.confirm(`Save what is whole, and remove ${what}?`)))
    return session.note('Nothing was changed.');
  // Damaged packs are not read a second time to find them.
  print(
    session,
    await repair(
      session,
      plan.packs.map(({ packId }) => packId),
      false,
    ),
  );
}

async function repair(
  session: Session,
  packs: readonly string[] | 'damaged',
  dryRun: boolean,
): Promise<PackRepairReport> {
  using progress = session.progress(dryRun ? 'Look at packs' : 'Repair packs');
  return await session.app.repositories.repairPacks(
    { packs, dryRun },
    { signal: session.signal, onProgress: progress.onProgress },
  );
}

function print(session: Session, report: PackRepairReport): void {
  session.printer.print({
    json: () => report,
    text: () => describe(report),
    quiet: () => report.packs.map(({ packId }) => packId),
  });
  if (report.lostBlobs.length === 0) return;
  const count = report.lostBlobs.length === 1 ? 'One blob is' : `${report.lostBlobs.length} blobs are`;
  throw new AppError('partial', `${count} lost`, {
    detail: report.lostBlobs
      .slice(0, 8)
      .map(({ id, type }) => `${type} ${id.slice(0, 8)}`)
      .join(', '),
    hint: report.dryRun
      ? 'Look for the damaged packs in copies of the repository first, if there are any.'
      : 'Back up again what is still there: it stores again what is missing. Then see which files are lost: holdfast repair snapshots --dry-run',
  });
}

function describe({ dryRun, packs, unknownPacks, wholePacks }: PackRepairReport): string {
  if (packs.length + unknownPacks.length + wholePacks.length === 0) return 'All packs are whole.';
  const lines = packs.map(({ packId, state, blobs, savedBlobs, message }) => {
    const saved = `${savedBlobs} of ${blobs} blobs ${dryRun ? 'can be saved' : 'saved'}`;
    const file = state === 'unreadable' ? '; its file stays, because the store fails to give all of it' : '';
    return `Pack ${packId.slice(0, 8)}, ${state}: ${saved}${message === undefined ? '' : ` (${message})`}${file}`;
  });
  for (const id of unknownPacks)
    lines.push(`Pack ${id.slice(0, 8)}: it is not known what it holds, so it stays as it is`);
  for (const id of wholePacks) lines.push(`Pack ${id.slice(0, 8)} is whole`);
  return lines.join('\n');
}
