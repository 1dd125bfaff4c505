import type { VolumeFailure, VolumeUsage } from '../../../app/app.ts';
import type { Volume } from '../../../model/volume.ts';
import { formatAge } from '../../../model/duration.ts';
import { printableField } from '../../../model/quote.ts';
import { parseVolumeFilter } from '../../../model/filter.ts';
import { formatSize } from '../../../model/size.ts';
import { noteNoEngine } from '../note-no-engine.ts';
import type { Session } from '../session.ts';
import { type Column, formatTable } from '../table.ts';
import { reportUnmeasured } from '../unmeasured.ts';

export interface VolumeLsFlags {
  readonly filter?: readonly string[];
  readonly size?: boolean;
}

interface Row {
  readonly volume: Volume;
  readonly usage: VolumeUsage | VolumeFailure | undefined;
}

export async function runVolumeLs(session: Session, flags: VolumeLsFlags): Promise<void> {
  const filter = parseVolumeFilter(flags.filter ?? []);
  const engine = await session.app.volumes.onHost();
  const found = await engine.list(filter, { signal: session.signal });
  const volumes = session.quiet
    ? found
    : await session.app.volumes.withConsumersElsewhere(found, session.signal);
  const names = volumes.map((volume) => volume.name);
  const measured = flags.size ? await engine.usage(names, { signal: session.signal }) : [];
  const usages = new Map(measured.map((usage) => [usage.name, usage]));
  const rows = volumes.map((volume): Row => ({ volume, usage: usages.get(volume.name) }));
  session.printer.print({
    json: () => rows.map(({ volume, usage }) => session.app.volumes.asJson.volume(volume, usage)),
    text: () => formatTable(rows, columns(flags.size ?? false, new Date())),
    quiet: () => names,
  });
  reportUnmeasured(session, measured);
  if (volumes.length === 0) await noteNoEngine(session);
}

function columns(withSize: boolean, now: Date): Column<Row>[] {
  const size: Column<Row> = {
    title: 'SIZE',
    value: ({ usage }) => (usage === undefined ? '' : 'error' in usage ? '?' : formatSize(usage.bytes)),
    align: 'right',
  };
  return [
    {
      title: 'NAME',
      value: ({ volume }) => printableField(volume.anonymous ? volume.name.slice(0, 12) : volume.name),
    },
    { title: 'DRIVER', value: ({ volume }) => printableField(volume.driver) },
    { title: 'STACK', value: ({ volume }) => printableField(volume.stack ?? '') },
    { title: 'CONSUMERS', value: ({ volume }) => printableField(consumers(volume)) },
    {
      title: 'AGE',
      value: ({ volume }) =>
        volume.createdAt === undefined ? '' : formatAge(volume.createdAt, now).replace(/ ago$/, ''),
    },
    ...(withSize ? [size] : []),
  ];
}

const namedAtMost = 3;

/** Stopped ones in brackets. */
function consumers(volume: Volume): string {
  const unique = [...new Map(volume.consumers.map((consumer) => [consumer.id, consumer])).values()];
  const names = unique
    .slice(0, namedAtMost)
    .map(({ name, state }) => (state === 'running' ? name : `(${name})`));
  return unique.length > namedAtMost
    ? `${names.join(', ')} +${unique.length - namedAtMost}`
    : names.join(', ');
}
