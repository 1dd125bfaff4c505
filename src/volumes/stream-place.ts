import type { StreamData } from '../hosts/host.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import type { TarMember } from '../lib/tar/tar-member.ts';
import { type ByteString, toPrintable } from '../model/byte-string.ts';
import { cleanPath } from '../model/clean-path.ts';
import type { Entry } from '../model/entry.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { WorkLog } from './work-log.ts';

export interface StreamPlace {
  readonly path: ByteString;
  /** Undefined when there is nothing. */
  readonly entry: Entry | undefined;
}

const maxLinks = 40;

/** What is at a path, streamed. Follows a relative link at its end inside the volume if requested. */
export async function findStreamPlace(
  data: StreamData,
  path: ByteString,
  {
    volume,
    followLast,
    log,
  }: { readonly volume: string; readonly followLast: boolean; readonly log: WorkLog },
): Promise<StreamPlace> {
  let at = path;
  for (let links = 0; links <= maxLinks; links++) {
    const entry = await firstEntry(data, at, log);
    if (entry?.linkTarget === undefined || !followLast) return { path: at, entry };
    const folder = at.slice(0, Math.max(0, at.lastIndexOf('/')));
    const target = cleanPath(`${folder === '' ? '.' : folder}/${entry.linkTarget}`);
    if (entry.linkTarget.startsWith('/') || target === '..' || target.startsWith('../')) {
      const shown = quote(toPrintable(at));
      throw new AppError(
        'denied',
        `Cannot use ${quote(toPrintable(path))} in volume ${quote(volume)}: the symbolic link ${shown} leads out of the volume`,
      );
    }
    at = target === '.' ? '' : target;
  }
  throw new AppError(
    'usage',
    `Cannot use ${quote(toPrintable(path))} in volume ${quote(volume)}: too many symbolic links`,
  );
}

/** A path of the volume and everything below it, with paths from the volume's root. */
export async function* readStream(
  data: StreamData,
  path: ByteString,
  log: WorkLog,
): AsyncGenerator<TarMember> {
  const { signal, onProblem } = log;
  yield* readTar(await data.readTar(path, { signal }), { signal, onProblem });
}

async function firstEntry(data: StreamData, path: ByteString, log: WorkLog): Promise<Entry | undefined> {
  try {
    for await (const { entry } of readStream(data, path, log)) return entry;
    return undefined;
  } catch (error) {
    if (isAppError(error, 'not-found')) return undefined;
    throw error;
  }
}
