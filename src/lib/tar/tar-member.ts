import { AppError } from '../../model/errors.ts';
import type { Entry } from '../../model/entry.ts';

/** The writer's input: an entry and, for files, how to get its bytes. */
export interface TarSource {
  readonly entry: Entry;
  /**
   * The bytes of a file: `entry.size` of them, or for a sparse file those of its data runs only. Called at
   * most once, never for hard links. The source does not reuse chunks.
   */
  readonly open?: (() => AsyncIterable<Uint8Array>) | undefined;
}

/** What the reader yields. `body` is valid until the next member is requested; its unread rest is skipped. */
export interface TarMember {
  /** A hard link is a `file` of size 0 with `hardLinkTo`, whatever its target is: tar does not say. */
  readonly entry: Entry;
  /** A file's bytes; for a sparse file those of `entry.dataRuns` only. Can be iterated once. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** The memory limit of a header's extra records, and of a sparse file's map. */
export const maxMetadataBytes = 8 * 1024 * 1024;

export const blockSize = 512;

/** Bytes up to the next whole block. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

export function damaged(detail: string): AppError {
  return new AppError('integrity', 'Cannot read the tar archive: it is damaged or not a tar archive', {
    detail,
  });
}
