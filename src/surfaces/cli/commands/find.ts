import type { FoundEntry } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { toPrintable } from '../../../model/byte-string.ts';
import { AppError } from '../../../model/errors.ts';
import { entryTime } from '../../../model/listed-entry.ts';
import { formatSize } from '../../../model/size.ts';
import { localTime } from '../../../model/local-time.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface FindFlags {
  readonly volume?: string;
  readonly tag?: readonly string[];
  readonly ignoreCase?: boolean;
  readonly blob?: readonly string[];
}

export async function runFind(
  session: Session,
  flags: FindFlags,
  patterns: readonly string[],
): Promise<void> {
  const request = {
    patterns,
    ignoreCase: flags.ignoreCase ?? false,
    content: flags.blob ?? [],
    volume: flags.volume,
    tags: flags.tag ?? [],
  };
  const found: FoundEntry[] = [];
  for await (const one of session.app.snapshots.find(request, {
    signal: session.signal,
    onNote: session.warn,
  }))
    found.push(one);
  session.printer.print({
    json: () => found.map(session.app.snapshots.asJson.found),
    text: () => (found.length === 0 ? '' : describe(found)),
    quiet: () => found.map(({ snapshot, entry }) => `${snapshot.id} ${toPrintable(entry.path)}`),
  });
  if (found.length === 0) throw new AppError('not-found', 'Nothing was found');
}

function describe(found: readonly FoundEntry[]): string {
  return formatTable(found, [
    { title: 'SNAPSHOT', value: ({ snapshot }) => snapshot.id.slice(0, 8) },
    { title: 'VOLUME', value: ({ snapshot }) => printableField(snapshot.name) },
    { title: 'SAVED', value: ({ snapshot }) => localTime(snapshot.time) },
    {
      title: 'SIZE',
      value: ({ entry }) => (entry.type === 'file' ? formatSize(entry.size) : ''),
      align: 'right',
    },
    { title: 'MODIFIED', value: ({ entry }) => localTime(entryTime(entry.mtimeNs)) },
    { title: 'PATH', value: ({ entry }) => `${toPrintable(entry.path)}${entry.type === 'dir' ? '/' : ''}` },
  ]);
}
