import type { ByteString } from '../../model/byte-string.ts';
import type { OwnerMap } from '../../model/owner-map.ts';
import type { TreeNode } from '../format/node.ts';
import type { Found } from '../read/find-in-snapshot.ts';
import type { WorkOptions } from '../work-options.ts';
import type { LikeFilesOptions } from './like-files.ts';
import type { RestoreOptions } from './restore-types.ts';

export interface RestoreRequest extends WorkOptions {
  /** What is restored, as `target`. The root of a snapshot has no metadata of its own. */
  readonly node: Pick<TreeNode, 'type' | 'subtree'> & Partial<TreeNode>;
  readonly target: ByteString;
  readonly mapOwner?: OwnerMap | undefined;
  /** Where the same files may lie, see `LikeFiles`. */
  readonly like?: Pick<LikeFilesOptions, 'like' | 'copies'> | undefined;
  readonly expectedBytes: number | undefined;
  readonly expectedFiles: number | undefined;
}

/** The work that a request is, when what it names was found. From a far repository, what is there already is rather copied than fetched. */
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
