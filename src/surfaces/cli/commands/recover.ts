import type { RecoveredJob } from '../../../app.ts';
import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { localTime } from '../local-time.ts';
import type { Session } from '../session.ts';

export async function runRecover(session: Session): Promise<void> {
  const report = await session.app.recover({ signal: session.signal, onNote: session.note });
  const { jobs, elsewhere } = report;
  session.printer.print({
    json: () => ({ ...report, jobs: jobs.map((job) => ({ ...job, error: job.error ?? null })) }),
    text: () => (jobs.length === 0 ? 'There is nothing to bring back.' : jobs.flatMap(describe).join('\n')),
    quiet: () => jobs.flatMap(({ apps }) => apps),
  });
  const failed = jobs.filter(({ error }) => error !== undefined).length;
  if (failed + elsewhere === 0) return;
  const what = elsewhere > 0 ? 'belong to an engine that is not this one' : 'are not as they were';
  throw new AppError(
    failed + elsewhere === jobs.length + elsewhere ? 'failed' : 'partial',
    `Containers that an interrupted job has left ${what}`,
    {
      hint:
        elsewhere > 0
          ? 'Start that engine, or name it with DOCKER_HOST or --host, and run "holdfast recover" again.'
          : 'See why above, and run "holdfast recover" again.',
    },
  );
}

function describe({ reason, since, apps, error }: RecoveredJob): string[] {
  const head = since === '' ? `Interrupted: ${reason}` : `Interrupted at ${localTime(since)}: ${reason}`;
  if (error !== undefined) return [head, `  not brought back: ${error}`];
  return [head, apps.length === 0 ? '  all ran as before' : `  brought back: ${apps.map(quote).join(', ')}`];
}
