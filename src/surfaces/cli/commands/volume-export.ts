import type { ArchiveFormat } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { formatSize } from '../../../model/size.ts';
import { finishStream, finishWork } from '../finish-work.ts';
import type { Session } from '../session.ts';

export interface VolumeExportFlags {
  readonly output?: string;
  readonly compress?: string;
  readonly overwrite?: boolean;
}

const formats: Readonly<Record<string, ArchiveFormat>> = { none: 'tar', gzip: 'tar.gz', zstd: 'tar.zst' };

export async function runVolumeExport(
  session: Session,
  flags: VolumeExportFlags,
  args: readonly string[],
): Promise<void> {
  const [volume = ''] = args;
  const format = flags.compress === undefined ? undefined : formats[flags.compress];
  if (flags.compress !== undefined && format === undefined) {
    throw new AppError('usage', `Compression "${flags.compress}" is unknown`, {
      hint: 'Use --compress none, gzip or zstd.',
    });
  }
  const engine = await session.app.volumes.onHost();
  using progress = session.progress(`Exporting ${volume}`);
  const options = { signal: session.signal, onProgress: progress.onVolumeProgress };
  const path = flags.output === '-' ? undefined : flags.output;
  const to =
    path === undefined
      ? ({ kind: 'stream', write: session.openSink() } as const)
      : ({ kind: 'path', path } as const);
  const report = await engine.export({ volume, to, format, overwrite: flags.overwrite }, options);
  progress[Symbol.dispose]();
  if (path === undefined) return finishStream(session, report);
  finishWork(session, report, {
    text: () =>
      `${path}: ${report.files} ${report.files === 1 ? 'file' : 'files'}, ${formatSize(report.bytes)}, ${formatSize(report.archiveBytes)} as ${report.format}`,
  });
}
