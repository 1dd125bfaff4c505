import type { PolicyStatus, DaemonState, NextRun, AnomalyRecord } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { describeLastRun, describeSchedule, describeKeep, describeSelection } from '../describe-policy.ts';
import { localTime } from '../../../model/local-time.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';
import { describeMaxStill } from '../../../model/consistency.ts';
import { formatDuration, formatAge } from '../../../model/duration.ts';
import { parseCount } from '../retention-flags.ts';

export async function runPolicyLs(session: Session): Promise<void> {
  const statuses = await session.app.policies.list({ signal: session.signal, onNote: session.warn });
  session.printer.print({
    json: () => statuses,
    text: () =>
      statuses.length === 0
        ? 'There are no policies. Write one into holdfast.yaml, below "policies": see docs/guides/policies.md.'
        : describeAll(statuses),
    quiet: () => statuses.map(({ policy }) => policy.name),
  });
}

function describeAll(statuses: readonly PolicyStatus[]): string {
  return formatTable(statuses, [
    { title: 'NAME', value: ({ policy }) => printableField(policy.name) },
    { title: 'SCHEDULE', value: ({ policy }) => printableField(describeSchedule(policy.schedule)) },
    { title: 'COVERS', value: ({ covers }) => String(covers.length), align: 'right' },
    { title: 'REPOSITORIES', value: ({ policy }) => printableField(policy.repositories.join(', ')) },
    { title: 'LAST', value: ({ last }) => describeLastRun(last) },
    { title: 'NEXT', value: ({ next }) => (next === undefined ? '' : localTime(next.time)) },
  ]);
}

export async function runPolicyShow(
  session: Session,
  _flags: object,
  args: readonly string[],
): Promise<void> {
  const options = { signal: session.signal, onNote: session.warn };
  const status = await session.app.policies.show(args[0] ?? '', options);
  const history = await session.app.policies.history({ policy: status.policy.name, limit: 10 });
  session.printer.print({
    json: () => ({ ...status, history }),
    text: () => describePolicy(status),
    quiet: () => status.covers.map(({ name }) => name),
  });
}

function describePolicy({ policy, covers, last, next }: PolicyStatus): string {
  const lines: [string, string][] = [
    ['Covers', describeSelection(policy.select)],
    [
      'Schedule',
      `${describeSchedule(policy.schedule)}${policy.jitterMs > 0 ? `, up to ${formatDuration(policy.jitterMs)} later` : ''}`,
    ],
    ['Missed times', policy.catchUp ? 'made up for, once' : 'left out'],
    ['Consistency', policy.consistency],
    ['Still for', policy.maxStillMs === undefined ? '' : `at most ${describeMaxStill(policy.maxStillMs)}`],
    ['Still', policy.stillTries === undefined ? '' : `${policy.stillTries} times at most`],
    ['Preset', policy.preset ?? ''],
    ['Dump', policy.dump === true ? 'by the client of the database, beside its files' : ''],
    ['Hooks', policy.hooks.map(({ moment, command }) => `${moment}: ${command.join(' ')}`).join('; ')],
    ['Left out', policy.excludes.join(', ')],
    ['Tags', policy.tags.join(', ')],
    ['Keeps', describeKeep(policy.keep)],
    ['Repositories', policy.repositories.join(', ')],
    ['Prune', describeSchedule(policy.prune)],
    ['Check', describeSchedule(policy.check?.schedule)],
    [
      'Verify',
      policy.verify === undefined
        ? 'never'
        : `${describeSchedule(policy.verify.schedule)}, ${policy.verify.percent}%`,
    ],
    ['Drill', describeSchedule(policy.drill)],
    ['Last run', describeLastRun(last)],
    ['Next run', next === undefined ? '' : localTime(next.time)],
  ];
  const table = lines
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${`${name}:`.padEnd(14)} ${printableField(value)}`);
  const covered =
    covers.length === 0
      ? 'It is about nothing that there is now.'
      : formatTable(covers, [
          { title: 'COVERS', value: ({ name }) => printableField(name) },
          { title: 'BECAUSE', value: ({ reason }) => printableField(reason) },
        ]);
  return [...table, '', covered].join('\n');
}

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
    text: () => [describeDaemon(daemon), '', describeNext(shown)].join('\n'),
    quiet: () => shown.map(({ time, action, name }) => `${time} ${action} ${name}`),
  });
}

function describeDaemon(daemon: DaemonState | undefined): string {
  if (daemon === undefined)
    return 'No daemon runs: nothing of this happens by itself. Start one with "holdfast daemon".';
  return `The daemon runs: process ${daemon.pid}, since ${localTime(daemon.since)}.`;
}

function describeNext(runs: readonly NextRun[]): string {
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
    { title: 'WHAT', value: ({ name }) => printableField(shortened(name)) },
    { title: 'POLICY', value: ({ policy }) => printableField(policy) },
    { title: 'REPOSITORY', value: ({ repository }) => printableField(repository) },
  ]);
}

/** An anonymous volume, as the other tables show it. */
function shortened(name: string): string {
  return /^[0-9a-f]{64}$/.test(name) ? `${name.slice(0, 12)} (anonymous)` : name;
}

export async function runPolicyAccept(
  session: Session,
  _flags: object,
  args: readonly string[],
): Promise<void> {
  const [volume] = args;
  const found =
    volume === undefined
      ? await session.app.policies.listAnomalies()
      : await session.app.policies.acceptAnomalies(volume);
  session.printer.print({
    json: () => ({ accepted: volume !== undefined, anomalies: found }),
    text: () => {
      if (volume !== undefined)
        return `"${printableField(volume)}" is as it should be: its old snapshots may be forgotten and pruned again.`;
      return found.length === 0 ? 'All volumes look as they should.' : describeAnomalies(found);
    },
    quiet: () => found.map(({ volumeName }) => volumeName),
  });
}

function describeAnomalies(anomalies: readonly AnomalyRecord[]): string {
  return formatTable(anomalies, [
    { title: 'VOLUME', value: ({ volumeName }) => printableField(volumeName) },
    { title: 'SINCE', value: ({ foundAt }) => localTime(foundAt) },
    { title: 'SNAPSHOT', value: ({ snapshotId }) => snapshotId.slice(0, 8) },
    { title: 'WHAT', value: ({ message }) => printableField(message) },
  ]);
}
