import type { RestorePlan } from '../../app/app.ts';
import { printableField } from '../../model/quote.ts';
import { toPrintable } from '../../model/byte-string.ts';
import { formatDuration } from '../../model/duration.ts';
import { formatSize } from '../../model/size.ts';
import { localTime } from '../../model/local-time.ts';

export function describePlan(plan: RestorePlan): string {
  const { snapshot, changes } = plan;
  const isWhole = plan.path === '' || snapshot.volume?.isFile === true;
  const what = isWhole ? 'Snapshot' : `"${toPrintable(plan.path)}" of snapshot`;
  const lines = [
    `${what} ${snapshot.id.slice(0, 8)} of "${printableField(snapshot.name)}" from ${localTime(snapshot.time)} goes ${place(plan)}.`,
  ];
  lines.push(...plan.notes.map(printableField));
  if (changes !== undefined) lines.push(...describeChanges(changes, { since: 'the snapshot' }));
  else if (plan.replaces) lines.push('Exactly this is replaced, and nothing else.');
  if (plan.replaces)
    lines.push(
      plan.safetySnapshot
        ? 'What is there now is saved as a snapshot first.'
        : 'What is there now is NOT saved first.',
    );
  lines.push(...describeStops(plan.stops), ...describeSpace(plan));
  if (plan.refusal !== undefined)
    lines.push(`As things are now, it is refused: ${printableField(plan.refusal.message)}.`);
  return lines.join('\n');
}

/** The containers that it stops, in words. */
export function describeStops(stops: readonly string[]): string[] {
  if (stops.length === 0) return [];
  const names = stops.map((name) => `"${printableField(name)}"`).join(', ');
  return [
    `These are stopped for it, in this order, and started again: ${names}.`,
    'When one of them does not come up on the restored data, everything is put back as it was.',
  ];
}

function describeSpace({ keepForMs, space }: RestorePlan): string[] {
  if (space === undefined) return [];
  const { comes, kept, free } = space;
  const lines =
    keepForMs > 0
      ? [
          `What is there now, ${formatSize(kept)}, stays on the disk for ${formatDuration(keepForMs)}: "holdfast undo" brings it back.`,
        ]
      : ['What is there now is not kept for an undo.'];
  if (comes !== undefined && free !== undefined && comes > free)
    lines.push(
      `The restored data may not fit: it takes up to ${formatSize(comes)} beside what is there, and ${formatSize(free)} are free.`,
    );
  return lines;
}

function place({ destination, path }: RestorePlan): string {
  const name = `"${printableField(destination.name)}"`;
  if (destination.kind === 'new-volume') return `into the volume ${name}, which is made`;
  if (destination.kind === 'entry')
    return destination.isEmpty ? `to ${name}, where nothing is` : `in the place of ${name}`;
  const kind = destination.kind === 'volume' ? 'volume' : 'directory';
  if (destination.isEmpty) return `into the ${kind} ${name}, which is empty`;
  return path === '' ? `in the place of what is in the ${kind} ${name}` : `into the ${kind} ${name}`;
}

/** The changes to the live data, in words. */
export function describeChanges(
  changes: NonNullable<RestorePlan['changes']>,
  { since }: { readonly since: string },
): string[] {
  const { comesBack, changes: changed, goesAway, metadata, newer, examples } = changes;
  if (comesBack + changed + goesAway + metadata === 0)
    return ['Nothing differs in names, sizes, times and metadata.'];
  const lines = [
    `Comes back: ${comesBack}, changes: ${changed}, goes away: ${goesAway}, other metadata: ${metadata}.`,
  ];
  const rest = comesBack + changed + goesAway - examples.length;
  lines.push(
    ...examples.map(
      ({ kind, path, isNewer }) =>
        `  ${kind}: ${toPrintable(path)}${isNewer ? `  (written after ${since})` : ''}`,
    ),
  );
  if (rest > 0) lines.push(`  and ${rest} more`);
  if (newer > 0)
    lines.push(
      `${newer} ${newer === 1 ? 'file was' : 'files were'} written after ${since}: that data would be lost here.`,
    );
  return lines;
}
