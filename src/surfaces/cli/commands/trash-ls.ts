import type { TrashedVolume } from '../../../app/app.ts';
import { formatAge } from '../../../model/duration.ts';
import { nameBefore, removedFromLabel } from '../../../model/volume-name.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';
import { localTime } from '../../../model/local-time.ts';

export async function runTrashLs(session: Session): Promise<void> {
  const volumes = await session.app.volumes.listTrash();
  session.printer.print({
    json: () => volumes,
    text: () => table(volumes, new Date()),
    quiet: () => volumes.map(({ id }) => id),
  });
}

function table(volumes: readonly TrashedVolume[], now: Date): string {
  return formatTable(volumes, [
    { title: 'ID', value: ({ id }) => id.slice(0, 8) },
    { title: 'NAME', value: nameBefore },
    { title: 'DRIVER', value: ({ driver, options }) => options['type'] ?? driver },
    { title: 'REMOVED', value: ({ removedAt }) => formatAge(removedAt, now) },
    { title: 'GOES', value: ({ expiresAt }) => localTime(expiresAt) },
    { title: '', value: remark },
  ]);
}

function remark({ isRecordOnly, labels }: TrashedVolume): string {
  if (isRecordOnly) return 'without its data, which lies elsewhere or is gone';
  return labels[removedFromLabel] === undefined ? '' : 'of a container engine';
}
