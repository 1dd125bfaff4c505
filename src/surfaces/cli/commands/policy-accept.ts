import type { AnomalyRecord } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { localTime } from '../../../model/local-time.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

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
      return found.length === 0 ? 'All volumes look as they should.' : describe(found);
    },
    quiet: () => found.map(({ volumeName }) => volumeName),
  });
}

function describe(anomalies: readonly AnomalyRecord[]): string {
  return formatTable(anomalies, [
    { title: 'VOLUME', value: ({ volumeName }) => printableField(volumeName) },
    { title: 'SINCE', value: ({ foundAt }) => localTime(foundAt) },
    { title: 'SNAPSHOT', value: ({ snapshotId }) => snapshotId.slice(0, 8) },
    { title: 'WHAT', value: ({ message }) => printableField(message) },
  ]);
}
