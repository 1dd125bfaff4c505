import type { App } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { toPrintable } from '../../../model/byte-string.ts';
import { AppError } from '../../../model/errors.ts';
import { formatSize } from '../../../model/size.ts';
import type { RestoreFlags } from '../restore-words.ts';
import type { Session } from '../session.ts';
import { localTime } from '../../../model/local-time.ts';

type Plan = Awaited<ReturnType<App['restore']['planDump']>>;
type Report = Awaited<ReturnType<App['restore']['applyDump']>>;

/** `holdfast restore VOLUME --from-dump`: into a running database. */
export async function runDumpRestore(session: Session, flags: RestoreFlags, what: string): Promise<void> {
  if (flags.path !== undefined || flags.keepFor !== undefined || flags.noKeep === true)
    throw new AppError(
      'usage',
      '"--path", "--keep-for" and "--no-keep" are about files, and "--from-dump" restores none',
    );
  const { signal } = session;
  const request = {
    what,
    to: flags.to,
    only: flags.dump,
    safetySnapshot: flags.noSafetySnapshot !== true,
  };
  const plan = await session.app.restore.planDump(request, { signal, onNote: session.note });
  if (flags.dryRun)
    return session.printer.print({
      json: () => session.app.restore.asJson.dumpPlan(plan),
      text: () => describePlan(plan),
    });
  session.note(describePlan(plan));
  if (!(await session.confirm(`Replace what is in the database of "${printableField(plan.volume)}" now?`)))
    return session.note('Nothing was changed.');
  using progress = session.progress('Restore');
  const report = await session.app.restore.applyDump(plan, {
    signal,
    onProgress: progress.onProgress,
    onNote: session.note,
  });
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => session.app.restore.asJson.dumpReport(report),
    text: () => describeReport(report),
    quiet: () => [report.volume],
  });
}

function describePlan({ snapshot, volume, preset, server, dumps, safetySnapshot }: Plan): string {
  const id = snapshot.id.slice(0, 8);
  const where = `${preset.title} in "${printableField(server.container.name)}" (volume "${printableField(volume)}")`;
  return [
    `From snapshot ${id} (${localTime(snapshot.time)}) into ${where}:`,
    ...dumps.map(({ path, size }) => `  ${toPrintable(path)}, ${formatSize(size)}`),
    'What is there under the same names is replaced; clients that are connected to it are disconnected.',
    safetySnapshot ? 'What is there now is saved and dumped before.' : 'What is there now is not saved.',
  ].join('\n');
}

function describeReport({ volume, snapshot, dumps, bytes, container, safetySnapshot }: Report): string {
  const lines = [
    `${printableField(volume)}: ${dumps.length} ${dumps.length === 1 ? 'dump' : 'dumps'} of ${snapshot.id.slice(0, 8)} (${formatSize(bytes)}) restored into "${printableField(container)}"`,
  ];
  if (safetySnapshot !== undefined) {
    const id = safetySnapshot.id.slice(0, 8);
    lines.push(
      `  What was there before is saved as ${id}: holdfast restore ${id} --from-dump brings it back.`,
    );
  }
  return lines.join('\n');
}
