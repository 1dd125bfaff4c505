import type { RestoreReport } from '../../app/app.ts';
import { amount, formatSize } from '../../model/size.ts';
import { printableField } from '../../model/quote.ts';
import { formatDuration, parseDuration } from '../../model/duration.ts';
import { AppError } from '../../model/errors.ts';
import { parseOwnerMap } from '../../model/owner-map.ts';
import { localTime } from '../../model/local-time.ts';

export interface RestoreFlags {
  readonly stack?: string;
  readonly to?: string;
  readonly path?: string;
  readonly fromDump?: boolean;
  readonly dump?: readonly string[];
  readonly dryRun?: boolean;
  readonly noSafetySnapshot?: boolean;
  readonly keepFor?: string;
  readonly noKeep?: boolean;
  readonly healthTimeout?: string;
  readonly mapOwner?: readonly string[];
  readonly takeOver?: boolean;
  readonly asRecorded?: boolean;
  readonly noFiles?: boolean;
}

/** The settings of any kind of restore. */
export function settingsOf(flags: RestoreFlags) {
  if (flags.noKeep === true && flags.keepFor !== undefined)
    throw new AppError('usage', '"--no-keep" and "--keep-for" exclude each other');
  if (flags.takeOver === true && (flags.to !== undefined || flags.path !== undefined))
    throw new AppError('usage', '"--take-over" is for what comes back as a whole to where it was', {
      hint: 'Leave out "--to" and "--path".',
    });
  return {
    safetySnapshot: flags.noSafetySnapshot !== true,
    keepForMs: flags.noKeep === true ? 0 : durationOf(flags.keepFor),
    healthyWithinMs: durationOf(flags.healthTimeout),
    takeOver: flags.takeOver === true,
    asRecorded: flags.asRecorded,
    mapOwner: flags.mapOwner === undefined ? undefined : parseOwnerMap(flags.mapOwner),
  };
}

function durationOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

export function describeReport(report: RestoreReport): string {
  const { name, snapshot, files, bytes, created, safetySnapshot, stopped, stillMs, keptForMs } = report;
  const lines = [
    `${printableField(name)}: restored from ${snapshot.id.slice(0, 8)} (${localTime(snapshot.time)}): ${amount(files, 'file')}, ${formatSize(bytes)}`,
  ];
  if (created) lines.push('  The volume was made.');
  if (report.bytesTaken > 0)
    lines.push(
      `  ${formatSize(report.bytesTaken)} were as in the snapshot already, and were taken from there.`,
    );
  if (stopped.length > 0)
    lines.push(`  Stopped for ${formatDuration(stillMs)}: ${stopped.map(printableField).join(', ')}.`);
  if (keptForMs > 0)
    lines.push(
      `  What was there before is kept for ${formatDuration(keptForMs)}: holdfast undo ${printableField(name)}`,
    );
  if (safetySnapshot !== undefined) {
    lines.push(
      `  What was there before is saved as ${safetySnapshot.id.slice(0, 8)}: holdfast restore ${printableField(name)}@${safetySnapshot.id.slice(0, 8)} brings it back.`,
    );
  }
  return lines.join('\n');
}
