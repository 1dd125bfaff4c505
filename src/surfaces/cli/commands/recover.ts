import type { DueHook, RecoveredJob, RecoveredVolume } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { localTime } from '../../../model/local-time.ts';
import type { Session } from '../session.ts';

export async function runRecover(session: Session): Promise<void> {
  const report = await session.app.recover({ signal: session.signal, onNote: session.note });
  const { jobs, volumes, hooks, elsewhere } = report;
  const lines = [
    ...jobs.flatMap(describe),
    ...volumes.flatMap(describeVolume),
    ...hooks.flatMap(describeHook),
  ];
  session.printer.print({
    json: () => ({ ...report, jobs: jobs.map(withNull), volumes: volumes.map(withNull) }),
    text: () => (lines.length === 0 ? 'There is nothing to bring back.' : lines.join('\n')),
    quiet: () => [
      ...jobs.flatMap(({ apps }) => apps),
      ...volumes.filter(({ error }) => error === undefined).map(({ name }) => name),
    ],
  });
  const failed = [...jobs, ...volumes].filter(({ error }) => error !== undefined).length + hooks.length;
  if (failed + elsewhere === 0) return;
  const isPartly = failed < jobs.length + volumes.length + hooks.length;
  throw new AppError(isPartly ? 'partial' : 'failed', whatIsLeft(report), {
    hint:
      elsewhere > 0
        ? 'Start that engine, or name it with DOCKER_HOST or --host, and run "holdfast recover" again.'
        : 'See why above, and run "holdfast recover" again.',
  });
}

type Report = Awaited<ReturnType<Session['app']['recover']>>;

function whatIsLeft({ elsewhere, jobs, hooks }: Report): string {
  if (elsewhere > 0)
    return 'Containers that an interrupted job has left belong to an engine that is not this one';
  if (jobs.some(({ error }) => error !== undefined))
    return 'Containers that an interrupted job has left are not as they were';
  return hooks.length > 0
    ? 'Hooks that a backup has left due could not be run'
    : 'Volumes that an interrupted restore has left are not as they were';
}

function withNull<T extends { readonly error: string | undefined }>(one: T): object {
  return { ...one, error: one.error ?? null };
}

function describeVolume({ name, snapshotId = '', error }: RecoveredVolume): string[] {
  return [
    `Interrupted: restore ${quote(name)}`,
    error === undefined
      ? `  what was in it is back, from snapshot ${quote(snapshotId.slice(0, 8))}`
      : `  not put back: ${error}`,
  ];
}

function describeHook({ command, container, message, tries }: DueHook): string[] {
  return [`Due: the hook ${quote(command)} in ${quote(container)}`, `  tried ${tries} times: ${message}`];
}

function describe({ reason, since, apps, left, error }: RecoveredJob): string[] {
  const head = since === '' ? `Interrupted: ${reason}` : `Interrupted at ${localTime(since)}: ${reason}`;
  if (error !== undefined) return [head, `  not brought back: ${error}`];
  const lines = [
    ...(apps.length > 0 ? [`  brought back: ${apps.map(quote).join(', ')}`] : []),
    ...(left.length > 0
      ? [`  made anew, started or stopped since, and left: ${left.map(quote).join(', ')}`]
      : []),
  ];
  return [head, ...(lines.length > 0 ? lines : ['  all ran as before'])];
}
