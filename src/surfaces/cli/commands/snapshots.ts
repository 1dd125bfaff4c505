import type { ListedSnapshot } from '../../../app/app.ts';
import { formatAge } from '../../../model/duration.ts';
import { printableField } from '../../../model/quote.ts';
import { gradeInWords } from '../../../model/consistency.ts';
import { formatSize } from '../../../model/size.ts';
import { localTime } from '../../../model/local-time.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface SnapshotsFlags {
  readonly tag?: readonly string[];
  readonly stack?: string;
}

export async function runSnapshots(
  session: Session,
  flags: SnapshotsFlags,
  args: readonly string[],
): Promise<void> {
  const snapshots = await session.app.snapshots.list(
    { name: args[0], tags: flags.tag, stack: flags.stack },
    { signal: session.signal, onNote: session.warn },
  );
  for (const { id, time, timeDoubt } of snapshots)
    if (timeDoubt !== undefined)
      session.warn(
        `Of the snapshot ${id.slice(0, 8)} (${localTime(time)}), ${printableField(timeDoubt.reason)}. It is in the order that is known besides${timeDoubt.kind === 'future' ? ', and never the newest' : ''}.`,
      );
  session.printer.print({
    json: () => snapshots,
    text: () => (snapshots.length === 0 ? 'There are no snapshots.' : describe(snapshots)),
    quiet: () => snapshots.map((snapshot) => snapshot.id),
  });
}

function describe(snapshots: readonly ListedSnapshot[]): string {
  const now = new Date();
  const hasOthers = snapshots.some(({ isOwn }) => !isOwn);
  const hasDoubts = snapshots.some(({ timeDoubt }) => timeDoubt !== undefined);
  const hasMissing = snapshots.some(({ missing }) => missing !== undefined);
  const hasProblems = snapshots.some((snapshot) => snapshot.problemCount > 0);
  return formatTable(snapshots, [
    { title: 'ID', value: ({ id }) => id.slice(0, 8) },
    { title: 'VOLUME', value: ({ name }) => printableField(name) },
    ...(hasOthers
      ? [
          {
            title: 'HOST',
            value: ({ volume, hostname }: ListedSnapshot) => printableField(volume?.host.name ?? hostname),
          },
        ]
      : []),
    { title: 'TIME', value: ({ time }) => localTime(time) },
    { title: 'AGE', value: ({ time }) => formatAge(time, now) },
    ...(hasDoubts
      ? [{ title: 'CLOCK', value: ({ timeDoubt }: ListedSnapshot) => timeDoubt?.kind ?? '' }]
      : []),
    {
      title: 'SIZE',
      value: ({ summary }) => (summary === undefined ? '' : formatSize(summary.bytes)),
      align: 'right',
    },
    {
      title: 'FILES',
      value: ({ summary }) => (summary === undefined ? '' : String(summary.files)),
      align: 'right',
    },
    { title: 'GRADE', value: ({ grade }) => (grade === undefined ? '' : gradeInWords(grade)) },
    ...(hasProblems
      ? [
          {
            title: 'PROBLEMS',
            value: ({ problemCount }: ListedSnapshot) => (problemCount > 0 ? String(problemCount) : ''),
          },
        ]
      : []),
    ...(hasMissing
      ? [
          {
            title: 'MISSING',
            value: ({ missing = [] }: ListedSnapshot) => printableField(missing.join(',')),
          },
        ]
      : []),
    { title: 'TAGS', value: ({ tags }) => printableField(tags.join(',')) },
  ]);
}
