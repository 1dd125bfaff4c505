import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import { AppError, errnoOf, type ErrorCode } from '../../model/errors.ts';
import type { OwnerMap } from '../../model/owner-map.ts';
import type { TreeNode } from '../format/node.ts';
import type { Found } from '../read/find-in-snapshot.ts';
import type { RestoreOptions, WorkOptions } from '../requests.ts';
import type { LikeFilesOptions } from './like-files.ts';

export interface RestoreRequest extends WorkOptions {
  /** The node restored as `target`. The root of a snapshot has no metadata of its own. */
  readonly node: Pick<TreeNode, 'type' | 'subtree'> & Partial<TreeNode>;
  readonly target: ByteString;
  readonly mapOwner?: OwnerMap | undefined;
  /** A directory that may have the same files, see `LikeFiles`. */
  readonly like?: Pick<LikeFilesOptions, 'like' | 'copies'> | undefined;
  readonly expectedBytes: number | undefined;
  readonly expectedFiles: number | undefined;
}

/**
 * The work for a request whose source was found. From a remote repository, existing data is copied rather
 * than fetched.
 */
export function restoreRequest(
  { snapshot, path, target, mapOwner, like, signal, onProgress }: RestoreOptions,
  { node, isFar }: { readonly node: Found; readonly isFar: boolean },
): RestoreRequest {
  const whole = path === '' ? snapshot.summary : undefined;
  return {
    node,
    target,
    mapOwner,
    like: like === undefined ? undefined : { like, copies: isFar },
    signal,
    onProgress,
    expectedBytes: whole?.bytes,
    expectedFiles: whole?.files,
  };
}

/** Explains operating system errors about writing to a target. */
export async function explainingSystemErrors<T>(target: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    const [meaning, reason] = targetErrors[code] ?? (['failed', code] as const);
    throw new AppError(meaning, `Cannot restore to "${target}": ${reason}`, {
      detail: error instanceof Error ? toPrintable(error.message) : undefined,
      cause: error,
    });
  }
}

const targetErrors: Readonly<Record<string, readonly [code: ErrorCode, reason: string]>> = {
  ENOSPC: ['full', 'the disk is full'],
  EDQUOT: ['full', 'the quota is used up'],
  EROFS: ['read-only', 'its file system is read-only'],
  EACCES: ['denied', 'permission denied'],
  EPERM: ['denied', 'not permitted'],
  EEXIST: ['exists', 'it is there already'],
  ENOENT: ['not-found', 'the directory above does not exist'],
};
