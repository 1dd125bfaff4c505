import { formatSize } from '../../../model/size.ts';
import { finishWork } from '../finish-work.ts';
import { parsePairs } from '../parse-pairs.ts';
import type { Session } from '../session.ts';

export interface VolumeImportFlags {
  readonly input?: string;
  readonly driver?: string;
  readonly opt?: readonly string[];
  readonly label?: readonly string[];
  readonly merge?: boolean;
}

export async function runVolumeImport(
  session: Session,
  flags: VolumeImportFlags,
  args: readonly string[],
): Promise<void> {
  const [volume = ''] = args;
  const engine = await session.app.volumes.onHost();
  using progress = session.progress(`Importing ${volume}`);
  const path = flags.input === '-' ? undefined : flags.input;
  const report = await engine.import(
    {
      volume,
      from: path === undefined ? { kind: 'stream', bytes: session.readBytes() } : { kind: 'path', path },
      create: {
        driver: flags.driver ?? '',
        options: parsePairs(flags.opt, 'option'),
        labels: parsePairs(flags.label, 'label'),
      },
      merge: flags.merge,
    },
    { signal: session.signal, onProgress: progress.onVolumeProgress },
  );
  progress[Symbol.dispose]();
  finishWork(session, report, {
    text: () =>
      `${report.volume.name}: ${report.files} ${report.files === 1 ? 'file' : 'files'}, ${formatSize(report.bytes)}`,
    quiet: () => [report.volume.name],
  });
}
