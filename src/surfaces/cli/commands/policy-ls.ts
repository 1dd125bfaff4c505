import type { PolicyStatus } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { describeLastRun, describeSchedule } from '../describe-policy.ts';
import { localTime } from '../../../model/local-time.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export async function runPolicyLs(session: Session): Promise<void> {
  const statuses = await session.app.policies.list({ signal: session.signal, onNote: session.warn });
  session.printer.print({
    json: () => statuses,
    text: () =>
      statuses.length === 0
        ? 'There are no policies. Write one into holdfast.yaml, below "policies": see docs/guides/policies.md.'
        : describe(statuses),
    quiet: () => statuses.map(({ policy }) => policy.name),
  });
}

function describe(statuses: readonly PolicyStatus[]): string {
  return formatTable(statuses, [
    { title: 'NAME', value: ({ policy }) => printableField(policy.name) },
    { title: 'SCHEDULE', value: ({ policy }) => printableField(describeSchedule(policy.schedule)) },
    { title: 'COVERS', value: ({ covers }) => String(covers.length), align: 'right' },
    { title: 'REPOSITORIES', value: ({ policy }) => printableField(policy.repositories.join(', ')) },
    { title: 'LAST', value: ({ last }) => describeLastRun(last) },
    { title: 'NEXT', value: ({ next }) => (next === undefined ? '' : localTime(next.time)) },
  ]);
}
