import type { Session } from '../session.ts';
import { parsePairs } from '../parse-pairs.ts';
import { finishWork } from '../finish-work.ts';

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

export interface VolumeCloneFlags {
  readonly driver?: string;
  readonly opt?: readonly string[];
  readonly label?: readonly string[];
}

export async function runVolumeClone(
  session: Session,
  flags: VolumeCloneFlags,
  args: readonly string[],
): Promise<void> {
  const [from = '', to = ''] = args;
  const engine = await session.app.volumes.onHost();
  using progress = session.progress(`Cloning ${from}`);
  const report = await engine.clone(
    {
      from,
      to,
      driver: flags.driver,
      options: flags.opt === undefined ? undefined : parsePairs(flags.opt, 'option'),
      labels: parsePairs(flags.label, 'label'),
    },
    { signal: session.signal, onProgress: progress.onVolumeProgress },
  );
  progress[Symbol.dispose]();
  finishWork(session, report, { text: () => report.volume.name, quiet: () => [report.volume.name] });
}
