import type { Change } from '../../../app/app.ts';
import { toPrintable, toText } from '../../../model/byte-string.ts';
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
    json: () => ({
      before: result.before.id,
      after: result.after?.id ?? null,
      totals: totalsOf(changes),
      changes: changes.map(changeAsJson),
    }),
    text: () => [...changes.map(describe), summary(changes)].join('\n'),
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

function summary(changes: readonly Change[]): string {
  if (changes.length === 0) return 'No differences.';
  const { added, removed, changed, metadata, bytesAdded, bytesRemoved } = totalsOf(changes);
  return `${added} added, ${removed} removed, ${changed} changed, ${metadata} with other metadata only; +${formatSize(bytesAdded)}, -${formatSize(bytesRemoved)}`;
}

interface Totals {
  added: number;
  removed: number;
  changed: number;
  metadata: number;
  bytesAdded: number;
  bytesRemoved: number;
}

function totalsOf(changes: readonly Change[]): Totals {
  const totals: Totals = { added: 0, removed: 0, changed: 0, metadata: 0, bytesAdded: 0, bytesRemoved: 0 };
  for (const { kind, sizeBefore, sizeAfter } of changes) {
    totals[kind]++;
    if (kind === 'metadata') continue;
    totals.bytesAdded += sizeAfter ?? 0;
    totals.bytesRemoved += sizeBefore ?? 0;
  }
  return totals;
}

function changeAsJson({ path, kind, type, sizeBefore, sizeAfter }: Change): object {
  return { path: toText(path), kind, type, sizeBefore: sizeBefore ?? null, sizeAfter: sizeAfter ?? null };
}
