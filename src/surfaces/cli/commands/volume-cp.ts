import type { VolumePlace } from '../../../app/app.ts';
import { AppError } from '../../../model/errors.ts';
import { pathSuffix } from '../../../model/clean-path.ts';
import { type CopyTarget, parseCopyTarget } from '../../../model/target.ts';
import { finishStream, finishWork } from '../finish-work.ts';
import type { Session } from '../session.ts';

export interface VolumeCpFlags {
  readonly followLink?: boolean;
}

export async function runVolumeCp(
  session: Session,
  flags: VolumeCpFlags,
  args: readonly string[],
): Promise<void> {
  const [source = '', target = ''] = args;
  const from = parseCopyTarget(source);
  const to = parseCopyTarget(target);
  if ((from.kind === 'volume') === (to.kind === 'volume')) {
    throw new AppError(
      'usage',
      from.kind === 'volume' ? 'Both sides are volumes' : 'Neither side is a volume',
      {
        hint:
          from.kind === 'volume'
            ? 'To copy a whole volume use "holdfast volume clone".'
            : 'Write the volume as VOLUME:PATH.',
      },
    );
  }
  const engine = await session.app.volumes.onHost();
  using progress = session.progress(`Copying ${source}`);
  const options = { signal: session.signal, onProgress: progress.onVolumeProgress };
  const followLink = flags.followLink ?? false;
  if (to.kind === 'volume') {
    const report = await engine.copyIn(
      {
        from: asLocal(from, source) ?? { kind: 'stream', tar: session.readBytes() },
        to: asPlace(to, target),
        followLink,
      },
      options,
    );
    progress[Symbol.dispose]();
    return finishWork(session, report, { text: () => '' });
  }
  if (from.kind !== 'volume') return;
  const place = asLocal(to, target);
  const report = await engine.copyOut(
    { from: asPlace(from, source), to: place ?? { kind: 'stream', write: session.openSink() }, followLink },
    options,
  );
  progress[Symbol.dispose]();
  if (place === undefined) finishStream(session, report);
  else finishWork(session, report, { text: () => '' });
}

function asLocal(
  target: CopyTarget,
  text: string,
): { readonly kind: 'path'; readonly path: string } | undefined {
  return target.kind === 'path' ? { kind: 'path', path: text } : undefined;
}

function asPlace(target: Extract<CopyTarget, { kind: 'volume' }>, text: string): VolumePlace {
  return { volume: target.name, path: target.path, suffix: pathSuffix(text.slice(text.indexOf(':') + 1)) };
}
