import type { TrashedVolume, EmptiedTrash } from '../../../app/app.ts';
import { formatAge } from '../../../model/duration.ts';
import { nameBefore, removedFromLabel } from '../../../model/volume-name.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';
import { localTime } from '../../../model/local-time.ts';
import { AppError, isAppError } from '../../../model/errors.ts';
import { failAll } from '../fail-all.ts';

export async function runTrashLs(session: Session): Promise<void> {
  const volumes = await session.app.volumes.listTrash();
  session.printer.print({
    json: () => volumes,
    text: () => tableOf(volumes, new Date()),
    quiet: () => volumes.map(({ id }) => id),
  });
}

function tableOf(volumes: readonly TrashedVolume[], now: Date): string {
  return formatTable(volumes, [
    { title: 'ID', value: ({ id }) => id.slice(0, 8) },
    { title: 'NAME', value: nameBefore },
    { title: 'DRIVER', value: ({ driver, options }) => options['type'] ?? driver },
    { title: 'REMOVED', value: ({ removedAt }) => formatAge(removedAt, now) },
    { title: 'GOES', value: ({ expiresAt }) => localTime(expiresAt) },
    { title: '', value: remark },
  ]);
}

function remark({ isRecordOnly, labels }: TrashedVolume): string {
  if (isRecordOnly) return 'without its data, which lies elsewhere or is gone';
  return labels[removedFromLabel] === undefined ? '' : 'of a container engine';
}

export interface TrashRestoreFlags {
  readonly to?: string;
}

export async function runTrashRestore(
  session: Session,
  { to }: TrashRestoreFlags,
  args: readonly string[],
): Promise<void> {
  if (to !== undefined && args.length > 1)
    throw new AppError('usage', 'With --to, one volume only can be brought back');
  const restored: string[] = [];
  const errors: AppError[] = [];
  for (const which of args) {
    try {
      restored.push(await session.app.volumes.restoreTrash(which, { to, signal: session.signal }));
    } catch (error) {
      if (!isAppError(error) || error.code === 'cancelled') throw error;
      errors.push(error);
    }
  }
  session.printer.print({
    json: () => ({ restored, failures: errors.map(({ code, message }) => ({ code, message })) }),
    text: () => restored.join('\n'),
    quiet: () => restored,
  });
  failAll(session, errors, restored.length);
}

export interface TrashEmptyFlags {
  readonly expired?: boolean;
}

export async function runTrashEmpty(
  session: Session,
  { expired }: TrashEmptyFlags,
  args: readonly string[],
): Promise<void> {
  if (expired && args.length > 0) throw new AppError('usage', 'With --expired, no volume is named');
  const managed = await session.app.volumes.managed();
  const listed = await session.app.volumes.listTrash();
  const count = args.length > 0 ? args.length : listed.length;
  if (count === 0) return showDeleted(session, { deleted: [], failures: [] });
  const what = args.length > 0 ? args.join(', ') : `all ${count} volumes in the trash`;
  if (!expired && !(await session.confirm(`Delete ${what} for good?`)))
    return session.note('Nothing was deleted.');
  const which = expired ? 'expired' : args.length > 0 ? args : 'all';
  showDeleted(session, await managed.emptyTrash(which, { signal: session.signal }));
}

function showDeleted(session: Session, { deleted, failures }: EmptiedTrash): void {
  const names = deleted.map(({ name }) => name);
  session.printer.print({
    json: () => ({
      deleted,
      failures: failures.map(({ name, error }) => ({ name, code: error.code, message: error.message })),
    }),
    text: () => (names.length + failures.length === 0 ? 'There is nothing to delete.' : names.join('\n')),
    quiet: () => names,
  });
  failAll(
    session,
    failures.map(({ error }) => error),
    deleted.length,
  );
}
