import { type BigIntStats, lstatSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { reasonText } from '../lib/tree-problem.ts';
import { type ByteString, fromText } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { type PathSuffix, pathSuffix } from '../model/clean-path.ts';
import { quote } from '../model/quote.ts';

/** Something on this machine, as a user typed it. */
export interface LocalThing {
  readonly text: string;
  readonly suffix: PathSuffix;
  /** Absolute. */
  readonly path: ByteString;
  readonly parent: ByteString;
  /** The last part of the typed path; '' for the root directory. */
  readonly name: ByteString;
  /** The last part of the path to which symbolic links led. */
  readonly realName: ByteString;
  /** Undefined when it does not exist; its parent does. */
  readonly stat: BigIntStats | undefined;
}

/** Looks at a local path; follows a symbolic link at its end only if requested, or if it ends in `/`. */
export function findLocal(text: string, { follow }: { readonly follow: boolean }): LocalThing {
  const suffix = pathSuffix(text);
  const absolute = path.resolve(text);
  try {
    const follows = follow || suffix !== '';
    const stat = (follows ? statSync : lstatSync)(absolute, { bigint: true, throwIfNoEntry: false });
    const name = fromText(path.basename(absolute));
    const real = stat === undefined ? undefined : follows ? realpathSync(absolute) : undefined;
    const realName = fromText(path.basename(real ?? absolute));
    const parent = realpathSync(path.dirname(real ?? absolute));
    const place = fromText(real ?? path.join(parent, path.basename(absolute)));
    return { text, suffix, path: place, parent: fromText(parent), name, realName, stat };
  } catch (error) {
    throw localError(text, error);
  }
}

/** The error of a system call on a path of this machine. */
export function localError(text: string, error: unknown): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  const codes = {
    ENOENT: 'not-found',
    EACCES: 'denied',
    EPERM: 'denied',
    EROFS: 'read-only',
    ENOSPC: 'full',
    EDQUOT: 'full',
    EEXIST: 'exists',
    ENOTDIR: 'usage',
    EISDIR: 'usage',
  } as const;
  const code = errno in codes ? codes[errno as keyof typeof codes] : 'failed';
  const message =
    errno === 'ENOENT'
      ? `The directory of ${quote(text)} does not exist`
      : `Cannot use ${quote(text)}: ${reasonText(errno)}`;
  return new AppError(code, message, { cause: error });
}
