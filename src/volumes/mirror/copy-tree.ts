import { closeSync, fstatSync } from 'node:fs';
import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import { readProblem } from '../../lib/tree-problem.ts';
import { walkTree, type WalkedEntry } from '../../lib/tree-walk.ts';
import { TreeWriter, type TreeProgress, type TreeWriterOptions } from '../../lib/tree-writer.ts';

export interface CopyTreeOptions extends TreeWriterOptions {
  /** Leaves out a path of the source, and everything below it. */
  readonly skip?: ((path: ByteString) => boolean) | undefined;
  /** Only this name at the top of the source, and what is below it. */
  readonly only?: ByteString | undefined;
  /** Maps a path below the source to one below the target; undefined leaves out that single entry. */
  readonly rename?: ((path: ByteString) => ByteString | undefined) | undefined;
}

/**
 * Copies a directory tree exactly into an existing directory: content, holes, hard links, all metadata. Where
 * the file system supports it, files share their blocks with the originals, which takes no space and hardly
 * any time. Reports what cannot be read, or changes meanwhile.
 */
export async function copyTree(
  from: ByteString,
  to: ByteString,
  options: CopyTreeOptions = {},
): Promise<TreeProgress> {
  const { signal, onProblem, skip, only } = options;
  using writer = new TreeWriter(to, options);
  const lost = new Set<ByteString>();
  for await (const walked of walkTree(from, { signal, onProblem, skip, only })) {
    const entry = renamed(walked.entry, options);
    if (entry === undefined) continue;
    if (entry.hardLinkTo !== undefined && lost.has(entry.hardLinkTo)) {
      const path = toPrintable(entry.path);
      const message = `"${path}" is left out: it is the same file as "${toPrintable(entry.hardLinkTo)}", which cannot be read`;
      onProblem?.({ path, reason: 'unreadable', message });
    } else if (entry.type !== 'file' || entry.hardLinkTo !== undefined) await writer.add(entry);
    else if (!(await copyFile({ ...walked, entry }, writer, options))) lost.add(entry.path);
  }
  return await writer.finish();
}

function renamed(entry: Entry, { rename }: CopyTreeOptions): Entry | undefined {
  if (rename === undefined) return entry;
  const path = rename(entry.path);
  const hardLinkTo = entry.hardLinkTo === undefined ? undefined : rename(entry.hardLinkTo);
  if (path === undefined) return undefined;
  return hardLinkTo === undefined ? { ...entry, path } : { ...entry, path, hardLinkTo };
}

/** False when the file could not be opened. */
export async function copyFile(
  walked: WalkedEntry,
  writer: TreeWriter,
  { onProblem }: Pick<CopyTreeOptions, 'onProblem'>,
): Promise<boolean> {
  const { entry } = walked;
  let fd: number;
  try {
    fd = walked.openFile();
  } catch (error) {
    onProblem?.(readProblem(entry.path, error));
    return false;
  }
  try {
    await writer.add(entry, { fd });
    const now = fstatSync(fd, { bigint: true });
    if (Number(now.size) < entry.size || (Number(now.size) === entry.size && now.mtimeNs === entry.mtimeNs))
      return true;
    const path = toPrintable(entry.path);
    onProblem?.({ path, reason: 'changed', message: `"${path}" was written to while it was read` });
    return true;
  } finally {
    closeSync(fd);
  }
}
