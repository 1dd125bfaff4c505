import type { MigrationPlan, MigrationReport } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { formatDuration } from '../../../model/duration.ts';
import { AppError } from '../../../model/errors.ts';
import { amount, formatSize } from '../../../model/size.ts';
import { localTime } from '../../../model/local-time.ts';
import { parsePairs } from '../parse-pairs.ts';
import type { Session } from '../session.ts';

export interface VolumeMigrateFlags {
  readonly driver?: string;
  readonly opt?: readonly string[];
  readonly undo?: boolean;
  readonly dryRun?: boolean;
}

export async function runVolumeMigrate(
  session: Session,
  flags: VolumeMigrateFlags,
  args: readonly string[],
): Promise<void> {
  const [name = ''] = args;
  const { signal } = session;
  const plan = await planOf(session, flags, name);
  if (flags.dryRun === true)
    return session.printer.print({
      json: () => session.app.volumes.asJson.migrationPlan(plan),
      text: () => describePlan(plan),
    });
  if (plan.refusal !== undefined) throw plan.refusal;
  session.note(describePlan(plan));
  if (!(await session.confirm('Do this now?'))) return session.note('Nothing was changed.');
  using progress = session.progress('Migrate');
  const { onProgress } = progress;
  const report = await session.app.volumes.applyMigration(plan, { signal, onProgress, onNote: session.note });
  progress[Symbol.dispose]();
  session.printer.print({
    json: () => session.app.volumes.asJson.migrationReport(report, plan),
    text: () => describeReport(report),
    quiet: () => [report.name],
  });
  if (report.unhealthy.length > 0)
    session.warn(
      `Not well since: ${report.unhealthy.map(printableField).join(', ')}. "holdfast volume migrate ${name} --undo" goes back.`,
    );
}

async function planOf(session: Session, flags: VolumeMigrateFlags, name: string): Promise<MigrationPlan> {
  const { driver, opt, undo } = flags;
  const options = { signal: session.signal, onNote: session.note };
  if (undo === true) {
    if (driver !== undefined || opt !== undefined)
      throw new AppError(
        'usage',
        '"--undo" goes back to where the volume was: leave out "--driver" and "--opt"',
      );
    return await session.app.volumes.planMigrationBack({ name }, options);
  }
  if (driver === undefined)
    throw new AppError('usage', 'Where to move the volume is missing', {
      hint: 'Name a driver with --driver, or go back with --undo.',
    });
  return await session.app.volumes.planMigration(
    { name, driver, options: parsePairs(opt, 'option') },
    options,
  );
}

function describePlan(plan: MigrationPlan): string {
  const { name, from, to, size, freeBytes, stops, notes, refusal } = plan;
  const lines = [`"${printableField(name)}" moves from ${storage(from)} to ${storage(to)}.`];
  if (plan.way === 'back') {
    lines.push(
      `It has the data again that it had ${localTime(plan.backTo ?? '')}: what was written since is in the trash, and comes back in the same way.`,
    );
  } else lines.push('What it is now stays in the trash for a while: --undo brings it back.');
  if (size !== undefined) {
    const room = freeBytes === undefined ? '' : `; ${formatSize(freeBytes)} are free`;
    lines.push(`Copied while it is in use: ${amount(size.files, 'file')}, ${formatSize(size.bytes)}${room}.`);
  }
  if (stops.length > 0) {
    const names = stops.map((one) => `"${printableField(one)}"`).join(', ');
    lines.push(`These are stopped for a moment, in this order, and started again: ${names}.`);
  }
  lines.push(...notes.map(printableField));
  if (refusal !== undefined)
    lines.push(`As things are now, it is refused: ${printableField(refusal.message)}.`);
  return lines.join('\n');
}

function storage({ kind, options }: MigrationPlan['from']): string {
  const shown = Object.entries(options)
    .filter(([key]) => key !== 'type')
    .map(([key, value]) => `${printableField(key)}=${printableField(value)}`);
  return shown.length === 0 ? kind : `${kind} (${shown.join(', ')})`;
}

function describeReport(report: MigrationReport): string {
  const { name, kind, way, files, bytes, passes, stopped, stillMs, keptAs, keptUntil } = report;
  const lines = [`"${printableField(name)}" is on ${kind}${way === 'back' ? ' again' : ''}.`];
  if (way === 'forth')
    lines.push(
      `  Copied in ${passes + 1} passes: ${amount(files, 'file')}, ${formatSize(bytes)}; then compared byte for byte.`,
    );
  if (stopped.length > 0)
    lines.push(`  Stopped for ${formatDuration(stillMs)}: ${stopped.map(printableField).join(', ')}.`);
  if (keptAs !== undefined)
    lines.push(`  What it was before is in the trash as ${keptAs}, until ${localTime(keptUntil ?? '')}.`);
  return lines.join('\n');
}
