import type { VolumeFailure, VolumeUsage } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { formatSize } from '../../../model/size.ts';
import { failOfProblems, warnOfProblems } from '../finish-work.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';
import { reportUnmeasured } from '../unmeasured.ts';

export async function runVolumeDu(session: Session, _flags: object, args: readonly string[]): Promise<void> {
  const engine = await session.app.volumes.onHost();
  const { signal } = session;
  const names =
    args.length > 0 ? args : (await engine.list(undefined, { signal })).map((volume) => volume.name);
  using progress = session.progress('Measuring');
  const rows = await engine.usage(names, { signal, onProgress: progress.onVolumeProgress });
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => rows.map(session.app.volumes.asJson.usage),
    text: () => describe(rows),
    quiet: () => rows.map((row) => ('error' in row ? '' : String(row.bytes))),
  });
  const problems = rows.flatMap((row) => ('error' in row ? [] : row.problems));
  warnOfProblems(session, problems);
  reportUnmeasured(session, rows);
  failOfProblems(problems);
}

function describe(rows: readonly (VolumeUsage | VolumeFailure)[]): string {
  const of =
    (show: (usage: VolumeUsage) => string, otherwise = '') =>
    (row: VolumeUsage | VolumeFailure): string =>
      'error' in row ? otherwise : show(row);
  const table = formatTable(rows, [
    { title: 'NAME', value: ({ name }) => printableField(name) },
    { title: 'SIZE', value: of(({ bytes }) => formatSize(bytes), '?'), align: 'right' },
    {
      title: 'ON DISK',
      value: of(({ allocatedBytes }) => (allocatedBytes === undefined ? '' : formatSize(allocatedBytes))),
      align: 'right',
    },
    { title: 'FILES', value: of(({ files }) => String(files)), align: 'right' },
    { title: 'FOLDERS', value: of(({ directories }) => String(directories)), align: 'right' },
  ]);
  const [only] = rows;
  if (rows.length !== 1 || only === undefined || 'error' in only || only.top.length === 0) return table;
  const top = formatTable(only.top.slice(0, 10), [
    { title: 'LARGEST', value: ({ path }) => printableField(path) },
    { title: 'SIZE', value: ({ bytes }) => formatSize(bytes), align: 'right' },
    { title: 'FILES', value: ({ files }) => String(files), align: 'right' },
  ]);
  return `${table}\n\n${top}`;
}
