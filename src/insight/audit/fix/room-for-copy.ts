import { statfs } from 'node:fs/promises';
import type { Host } from '../../../hosts/host.ts';
import { walkTree } from '../../../lib/tree-walk.ts';
import { toPath } from '../../../model/byte-string.ts';
import { AppError } from '../../../model/errors.ts';
import { formatSize } from '../../../model/size.ts';
import { quote } from '../../../model/quote.ts';
import { canClone } from '../../../quiesce/index.ts';
import type { DataMove } from './plan-moves.ts';

/**
 * Throws `full` where the disk of the named volume cannot hold a copy, whose app would be down until that is full. What is
 * read through the engine is not measured.
 */
export async function refuseWithoutRoom(
  host: Pick<Host, 'openData'>,
  { from, to }: Pick<DataMove, 'from' | 'to'>,
  signal: AbortSignal | undefined,
): Promise<void> {
  await using source = await host.openData(from, { signal });
  await using target = await host.openData(to, { signal });
  // Where files share their blocks, a copy takes next to nothing.
  if (source.way !== 'direct' || target.way !== 'direct' || canClone(target.root)) return;
  let [bytes, files] = [0, 0];
  for await (const { entry, allocatedBytes } of walkTree(source.root, { signal, statOnly: true })) {
    if (entry.hardLinkTo !== undefined) continue;
    files++;
    bytes += allocatedBytes;
  }
  const room = await statfs(toPath(target.root));
  const free = room.bavail * room.bsize;
  // A file system without a fixed number of files says that it has none.
  const hasFiles = room.files === 0 || room.ffree >= files;
  if (bytes <= free && hasFiles) return;
  const [holds, has] =
    bytes > free ? [formatSize(bytes), formatSize(free)] : [`${files} files`, `${room.ffree}`];
  throw new AppError(
    'full',
    `Cannot move ${quote(from)}: it holds ${holds}, and the disk of ${quote(to)} has room for ${has}`,
    { hint: 'Nothing was stopped. Make room, and try again.' },
  );
}
