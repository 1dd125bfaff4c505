import type { StatsReport, VolumeStats } from '../../../app/app.ts';
import { amount, formatSize } from '../../../model/size.ts';
import { printableField } from '../../../model/quote.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export async function runStats(session: Session, _flags: object, args: readonly string[]): Promise<void> {
  using progress = session.progress('Stats');
  const report = await session.app.snapshots.stats(
    { name: args[0] },
    { signal: session.signal, onNote: session.warn, onProgress: progress.onProgress },
  );
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => report,
    text: () => describe(report),
    quiet: () => report.volumes.map(({ name }) => name),
  });
}

function describe({ packs, packBytes, indexBytes, total, volumes }: StatsReport): string {
  if (volumes.length === 0)
    return `There are no snapshots. Stored: ${formatSize(packBytes)} in ${amount(packs, 'pack')}.`;
  const table = formatTable(volumes, [
    { title: 'VOLUME', value: (volume) => nameOf(volume) },
    { title: 'SNAPSHOTS', value: ({ snapshots }) => String(snapshots), align: 'right' },
    { title: 'NEWEST', value: ({ newestBytes }) => formatSize(newestBytes), align: 'right' },
    { title: 'ALL', value: ({ restorableBytes }) => formatSize(restorableBytes), align: 'right' },
    { title: 'STORED', value: ({ storedBytes }) => formatSize(storedBytes), align: 'right' },
    { title: 'OWN', value: ({ ownBytes }) => formatSize(ownBytes), align: 'right' },
    { title: 'DEDUP', value: ({ dedupRatio }) => times(dedupRatio), align: 'right' },
    { title: 'COMPRESSION', value: ({ compressionRatio }) => times(compressionRatio), align: 'right' },
  ]);
  return [
    table,
    `In all: ${amount(total.snapshots, 'snapshot')} ${total.snapshots === 1 ? 'restores' : 'restore'} ${formatSize(total.restorableBytes)} from ${formatSize(total.storedBytes)}: deduplication ${times(total.dedupRatio)}, compression ${times(total.compressionRatio)}.`,
    `Stored: ${formatSize(packBytes)} in ${amount(packs, 'pack')}, and ${formatSize(indexBytes)} of indexes.`,
  ].join('\n');
}

function nameOf({ name, isSafety }: VolumeStats): string {
  return `${printableField(name)}${isSafety ? ' (before restores)' : ''}`;
}

function times(ratio: number | undefined): string {
  return ratio === undefined ? '' : `${ratio.toFixed(2)}x`;
}
