import type { ManagedVolume, RoomUsage, VolumeHealth } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { formatSize } from '../../../model/size.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export type VolumeHealthFlags = object;

interface Row {
  readonly volume: ManagedVolume;
  readonly health: VolumeHealth;
  readonly room: RoomUsage | undefined;
}

export async function runVolumeHealth(
  session: Session,
  _: VolumeHealthFlags,
  args: readonly string[],
): Promise<void> {
  const managed = await session.app.volumes.managed();
  const all = await managed.list();
  const volumes = args.length === 0 ? all : args.map((name) => chosen(all, name));
  // Concurrently: a volume that hangs must not delay the others.
  const rows = await Promise.all(
    volumes.map(async (volume): Promise<Row> => {
      const health = await managed.health(volume.name);
      const room =
        health.status === 'good' || health.status === 'degraded' ? await roomOf(volume.name) : undefined;
      return { volume, health, room };
    }),
  );
  async function roomOf(name: string): Promise<RoomUsage | undefined> {
    // The health is told without it.
    return await managed.room(name, { signal: session.signal }).catch(() => undefined);
  }
  session.printer.print({
    json: () =>
      rows.map(({ volume, health, room }) => ({ name: volume.name, kind: volume.kind, ...health, ...room })),
    text: () => table(rows),
    quiet: () => unwell(rows).map(({ volume }) => volume.name),
  });
  const bad = unwell(rows);
  if (bad.length > 0) throw new AppError('partial', `${bad.length} of ${rows.length} volumes are not well`);
}

function unwell(rows: readonly Row[]): Row[] {
  return rows.filter(({ health }) => health.status !== 'good');
}

function chosen(all: readonly ManagedVolume[], name: string): ManagedVolume {
  const found = all.find((volume) => volume.name === name);
  if (found !== undefined) return found;
  throw new AppError(
    'not-found',
    `Cannot look at volume ${quote(name)}: Holdfast keeps no such volume itself`,
    {
      hint: 'List what there is with "holdfast volume ls".',
    },
  );
}

function table(rows: readonly Row[]): string {
  return formatTable(rows, [
    { title: 'NAME', value: ({ volume }) => volume.name },
    { title: 'KIND', value: ({ volume }) => volume.kind },
    { title: 'HEALTH', value: ({ health }) => health.status },
    { title: 'MOUNTED', value: ({ volume }) => (volume.isMounted ? 'yes' : 'no') },
    {
      title: 'USED',
      value: ({ room }) => (room === undefined ? '' : formatSize(room.usedBytes)),
      align: 'right',
    },
    {
      title: 'SIZE',
      value: ({ room }) => (room === undefined ? '' : formatSize(room.totalBytes)),
      align: 'right',
    },
    { title: 'MESSAGE', value: ({ health }) => health.message ?? '' },
  ]);
}
