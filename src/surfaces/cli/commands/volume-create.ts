import type { Session } from '../session.ts';
import { parsePairs } from '../parse-pairs.ts';

export interface VolumeCreateFlags {
  readonly driver?: string;
  readonly opt?: readonly string[];
  readonly label?: readonly string[];
}

export async function runVolumeCreate(
  session: Session,
  flags: VolumeCreateFlags,
  args: readonly string[],
): Promise<void> {
  const engine = await session.app.volumes.onHost();
  const volume = await engine.create(
    {
      name: args[0],
      driver: flags.driver ?? '',
      labels: parsePairs(flags.label, 'label'),
      options: parsePairs(flags.opt, 'option'),
    },
    { signal: session.signal },
  );
  session.printer.print({ json: () => volume, text: () => volume.name, quiet: () => [volume.name] });
}
