import type { DaemonState, NextRun } from '../../../app/app.ts';
import { formatAge } from '../../../model/duration.ts';
import { printableField } from '../../../model/quote.ts';
import { localTime } from '../../../model/local-time.ts';
import { parseCount } from '../retention-flags.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface PolicyNextFlags {
  readonly count?: string;
}

export async function runPolicyNext(session: Session, flags: PolicyNextFlags): Promise<void> {
  const count = parseCount(flags.count ?? '20');
  const { daemon, runs } = await session.app.policies.nextRuns({
    signal: session.signal,
    onNote: session.warn,
  });
  const shown = runs.slice(0, count);
  session.printer.print({
    json: () => ({ daemon, runs: shown }),
    text: () => [describeDaemon(daemon), '', describe(shown)].join('\n'),
    quiet: () => shown.map(({ time, action, name }) => `${time} ${action} ${name}`),
  });
}

function describeDaemon(daemon: DaemonState | undefined): string {
  if (daemon === undefined)
    return 'No daemon runs: nothing of this happens by itself. Start one with "holdfast daemon".';
  return `The daemon runs: process ${daemon.pid}, since ${localTime(daemon.since)}.`;
}

function describe(runs: readonly NextRun[]): string {
  if (runs.length === 0) return 'Nothing is scheduled.';
  const now = new Date();
  return formatTable(runs, [
    { title: 'TIME', value: ({ time }) => localTime(time) },
    {
      title: 'WHEN',
      value: ({ time, state }) =>
        state === 'due' ? 'due' : `${formatAge(time, now)}${state === 'retry' ? ' (again)' : ''}`,
    },
    { title: 'ACTION', value: ({ action }) => action },
    { title: 'WHAT', value: ({ name }) => printableField(name) },
    { title: 'POLICY', value: ({ policy }) => printableField(policy) },
    { title: 'REPOSITORY', value: ({ repository }) => printableField(repository) },
  ]);
}
