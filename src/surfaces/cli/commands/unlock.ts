import type { LockHolder } from '../../../app/app.ts';
import { formatAge } from '../../../model/duration.ts';
import { printableField } from '../../../model/quote.ts';
import type { Session } from '../session.ts';

export interface UnlockFlags {
  readonly removeAll?: boolean;
  readonly dryRun?: boolean;
}

export async function runUnlock(session: Session, flags: UnlockFlags): Promise<void> {
  const all = flags.removeAll ?? false;
  const dryRun = flags.dryRun ?? false;
  const { app, signal } = session;
  if (all && !dryRun && !(await mayRemoveAll(session))) return session.note('Nothing was removed.');
  const report = await app.repositories.unlock({ all, dryRun }, { signal });
  const verb = dryRun ? 'Would remove' : 'Removed';
  session.printer.print({
    json: () => report,
    text: () =>
      [
        ...report.removed.map((lock) => `${verb} ${describe(lock)}`),
        ...report.kept.map((lock) => `Kept ${describe(lock)}`),
        ...(report.removed.length + report.kept.length === 0 ? ['There are no locks.'] : []),
      ].join('\n'),
    quiet: () => report.removed.map(({ id }) => id),
  });
  if (report.kept.length > 0)
    session.note('What was kept may still be held. --remove-all removes it all the same.');
}

/** Says which processes may be at work before their locks are removed. */
async function mayRemoveAll({ app, signal, warn, confirm }: Session): Promise<boolean> {
  const { removed } = await app.repositories.unlock({ all: true, dryRun: true }, { signal });
  const held = removed.filter(({ stale }) => stale === undefined);
  if (held.length === 0) return true;
  for (const lock of held) warn(`Warning: ${describe(lock)} may still be held`);
  warn(
    'Warning: a prune beside a backup can destroy that backup. Make sure that nothing works in the repository, on any machine.',
  );
  return await confirm('Remove these locks all the same?');
}

function describe({ id, isReadable, exclusive, pid, hostname, username, time, stale }: LockHolder): string {
  const name = id.slice(0, 8);
  if (!isReadable) return `the lock ${name}, which is damaged: whose it is cannot be told`;
  const kind = exclusive ? 'the exclusive lock' : 'the lock';
  const who = `process ${pid} of "${printableField(username)}" on "${printableField(hostname)}"`;
  const why = stale === undefined ? '' : `: ${stale}`;
  return `${kind} ${name} of ${who}, ${formatAge(time, new Date())}${why}`;
}
