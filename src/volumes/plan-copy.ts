import type { ByteString } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import type { PathSuffix } from '../model/clean-path.ts';
import { quote } from '../model/quote.ts';

export interface CopyEnd {
  /** For messages. */
  readonly shown: string;
  readonly suffix: PathSuffix;
  readonly kind: 'dir' | 'other' | 'missing';
  /** The last part of its path; '' for a root. */
  readonly name: ByteString;
}

export interface CopyPlan {
  /** The directory to write into: the target itself, or its parent. */
  readonly into: 'target' | 'parent';
  /** The name to write the source under; undefined writes its contents. */
  readonly base: ByteString | undefined;
}

/** Where `docker cp` puts what. Throws where it refuses. */
export function planCopy(source: CopyEnd, target: CopyEnd): CopyPlan {
  if (source.kind === 'missing')
    throw new AppError('not-found', `Cannot copy ${quote(source.shown)}: it does not exist`);
  if (source.kind === 'other' && source.suffix !== '') {
    throw new AppError('usage', `Cannot copy ${quote(source.shown)}: it is not a directory`);
  }
  if (target.kind === 'dir') {
    const isContents = source.kind === 'dir' && (source.suffix === '/.' || source.name === '');
    return { into: 'target', base: isContents ? undefined : source.name };
  }
  if (target.kind === 'other') {
    if (target.suffix !== '')
      throw new AppError('usage', `Cannot copy to ${quote(target.shown)}: it is not a directory`);
    if (source.kind === 'dir') {
      throw new AppError(
        'conflict',
        `Cannot copy the directory ${quote(source.shown)} to ${quote(target.shown)}: that is a file`,
      );
    }
  } else if (source.kind === 'other' && target.suffix !== '') {
    throw new AppError('not-found', `Cannot copy into ${quote(target.shown)}: there is no such directory`);
  }
  return { into: 'parent', base: target.name };
}

/** The target path of an entry, by its path below the source. */
export function copiedPath(base: ByteString | undefined, path: ByteString): ByteString | undefined {
  if (base === undefined) return path === '' ? undefined : path;
  return path === '' ? base : `${base}/${path}`;
}
