import { AppError, isAppError } from '../../../model/errors.ts';
import { failAll } from '../fail-all.ts';
import type { Session } from '../session.ts';

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
