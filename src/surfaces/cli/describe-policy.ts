import type { Policy, PolicyRunRecord } from '../../app/app.ts';
import { formatSpan } from '../../model/calendar-span.ts';
import { localTime } from '../../model/local-time.ts';

export function describeSchedule(schedule: Policy['schedule']): string {
  if (schedule === undefined) return 'never';
  const zone = schedule.timeZone === undefined ? '' : ` (${schedule.timeZone})`;
  return `${schedule.patterns.join(', ')}${zone}`;
}

export function describeLastRun(run: PolicyRunRecord | undefined): string {
  if (run === undefined) return '';
  return `${localTime(run.startedAt)} ${run.end?.outcome ?? 'at work'}`;
}

export function describeSelection(select: Policy['select']): string {
  const parts = [
    ...(select.everything ? ['everything'] : []),
    ...select.volumes.map((glob) => `volumes "${glob}"`),
    ...select.stacks.map((name) => `the stack "${name}"`),
    ...select.containers.map((glob) => `what the containers "${glob}" mount`),
    ...select.labels.map((label) => `the label "${label}"`),
    ...select.paths,
  ];
  const named = parts.length === 0 ? 'all that no other policy names' : parts.join(', ');
  const what = select.bindMounts ? `${named}, with bind mounts` : named;
  return select.except.length === 0
    ? what
    : `${what}, except ${select.except.map((glob) => `"${glob}"`).join(', ')}`;
}

export function describeKeep(keep: Policy['keep']): string {
  if (keep === undefined) return 'everything';
  const { last, count = {}, within, periodWithin = {}, tags = [] } = keep.rules;
  return [
    ...(last === undefined ? [] : [`the last ${amount(last)}`]),
    ...Object.entries(count).map(([period, number]) => `${amount(number)} ${period}`),
    ...(within === undefined ? [] : [`all within ${formatSpan(within)}`]),
    ...Object.entries(periodWithin).map(([period, span]) => `${period} within ${formatSpan(span)}`),
    ...tags.map((list) => `all with ${list.join(' and ')}`),
  ].join(', ');
}

function amount(number: number | undefined): string {
  return number === Number.POSITIVE_INFINITY ? 'all' : String(number ?? 0);
}
