import type { EmptiedTrash } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { failAll } from '../fail-all.ts';
import type { Session } from '../session.ts';

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
  if (count === 0) return show(session, { deleted: [], failures: [] });
  const what = args.length > 0 ? args.join(', ') : `all ${count} volumes in the trash`;
  if (!expired && !(await session.confirm(`Delete ${what} for good?`)))
    return session.note('Nothing was deleted.');
  const which = expired ? 'expired' : args.length > 0 ? args : 'all';
  show(session, await managed.emptyTrash(which, { signal: session.signal }));
}

function show(session: Session, { deleted, failures }: EmptiedTrash): void {
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
