import type { VolumeUsage } from '../../../app.ts';
import { fromText, toPrintable } from '../../../model/byte-string.ts';
import { formatSize } from '../../../model/size.ts';
import { reportProblems } from '../finish-work.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export async function runVolumeDu(session: Session, _flags: object, args: readonly string[]): Promise<void> {
  const engine = await session.app.volumes();
  const { signal } = session;
  const names =
    args.length > 0 ? args : (await engine.list(undefined, { signal })).map((volume) => volume.name);
  using progress = session.progress('Measuring');
  const usages = await engine.usage(names, { signal, onProgress: progress.onVolumeProgress });
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => usages,
    text: () => describe(usages),
    quiet: () => usages.map((usage) => String(usage.bytes)),
  });
  reportProblems(
    session,
    usages.flatMap((usage) => usage.problems),
  );
}

function describe(usages: readonly VolumeUsage[]): string {
  const table = formatTable(usages, [
    { title: 'NAME', value: ({ name }) => toPrintable(fromText(name)) },
    { title: 'SIZE', value: ({ bytes }) => formatSize(bytes), align: 'right' },
    {
      title: 'ON DISK',
      value: ({ allocatedBytes }) => (allocatedBytes === undefined ? '' : formatSize(allocatedBytes)),
      align: 'right',
    },
    { title: 'FILES', value: ({ files }) => String(files), align: 'right' },
    { title: 'FOLDERS', value: ({ directories }) => String(directories), align: 'right' },
  ]);
  const [only] = usages;
  if (usages.length !== 1 || only === undefined || only.top.length === 0) return table;
  const top = formatTable(only.top.slice(0, 10), [
    { title: 'LARGEST', value: ({ path }) => toPrintable(fromText(path)) },
    { title: 'SIZE', value: ({ bytes }) => formatSize(bytes), align: 'right' },
    { title: 'FILES', value: ({ files }) => String(files), align: 'right' },
  ]);
  return `${table}\n\n${top}`;
}
