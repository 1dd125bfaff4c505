import type { Change, ChangeTotals } from '../../../app/app.ts';
import { toPrintable } from '../../../model/byte-string.ts';
import { formatSize } from '../../../model/size.ts';
import type { Session } from '../session.ts';

const signs = { added: '+', removed: '-', changed: 'M', metadata: 'U' } as const;

export async function runDiff(session: Session, _flags: object, args: readonly string[]): Promise<void> {
  const [before = '', after] = args;
  const result = await session.app.snapshots.diff(
    { before, after },
    { signal: session.signal, onNote: session.note },
  );
  const changes: Change[] = [];
  for await (const change of result.changes) changes.push(change);
  session.printer.print({
    json: () => session.app.snapshots.asJson.diff(result, changes),
    text: () => [...changes.map(describe), summary(session.app.snapshots.totalsOf(changes))].join('\n'),
    quiet: () => changes.map(describe),
  });
}

function describe(change: Change): string {
  const name = change.path === '' ? '.' : toPrintable(change.path);
  return `${signs[change.kind]} ${change.type === 'dir' ? `${name}/` : name}${sizes(change)}`;
}

function sizes({ kind, sizeBefore, sizeAfter }: Change): string {
  if (kind === 'metadata') return '';
  if (sizeBefore !== undefined && sizeAfter !== undefined)
    return `  (${formatSize(sizeBefore)} -> ${formatSize(sizeAfter)})`;
  const size = sizeBefore ?? sizeAfter;
  return size === undefined ? '' : `  (${formatSize(size)})`;
}

function summary({ added, removed, changed, metadata, bytesAdded, bytesRemoved }: ChangeTotals): string {
  if (added + removed + changed + metadata === 0) return 'No differences.';
  return `${added} added, ${removed} removed, ${changed} changed, ${metadata} with other metadata only; +${formatSize(bytesAdded)}, -${formatSize(bytesRemoved)}`;
}
