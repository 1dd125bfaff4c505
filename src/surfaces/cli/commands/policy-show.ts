import type { PolicyStatus } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { describeMaxStill } from '../../../model/consistency.ts';
import { formatDuration } from '../../../model/duration.ts';
import { describeKeep, describeLastRun, describeSchedule, describeSelection } from '../describe-policy.ts';
import { localTime } from '../../../model/local-time.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

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
    text: () => describe(status),
    quiet: () => status.covers.map(({ name }) => name),
  });
}

function describe({ policy, covers, last, next }: PolicyStatus): string {
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
