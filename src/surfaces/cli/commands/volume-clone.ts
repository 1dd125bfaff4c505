import type { Session } from '../session.ts';
import { parsePairs } from '../parse-pairs.ts';
import { finishWork } from '../finish-work.ts';

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
