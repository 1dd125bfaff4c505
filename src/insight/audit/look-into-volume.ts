import type { Owner } from '../../compose/index.ts';
import type { Host, HostInfo } from '../../hosts/host.ts';
import { walkTree } from '../../lib/tree-walk.ts';
import { isAppError } from '../../model/errors.ts';
import type { Volume } from '../../model/volume.ts';
import type { VolumeContent } from './audit-view.ts';

/** An answer about a large volume is about its first entries. */
const entriesAtMost = 50_000;

/**
 * What is in a volume, read and not touched; undefined where that would need a container of our own, or
 * where the volume has gone meanwhile.
 */
export async function lookIntoVolume(
  host: Host,
  volume: Volume,
  {
    info,
    containersRoot,
    deep,
    signal,
  }: {
    readonly info: HostInfo;
    readonly containersRoot: Owner;
    readonly deep: boolean;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<VolumeContent | undefined> {
  const isPlain = volume.driver === 'local' && Object.keys(volume.options).length === 0;
  if (!isPlain || info.isRemote === true || process.geteuid?.() !== 0) return undefined;
  try {
    await using data = await host.openData(volume.name, { signal });
    if (data.way !== 'direct') return undefined;
    let root: VolumeContent['root'] | undefined;
    let newestNs = 0n;
    let seen = 0;
    for await (const { entry } of walkTree(data.root, { statOnly: true, isFlat: !deep, signal })) {
      if (entry.path === '') root = entry;
      // An empty folder is what a mount below leaves behind.
      else if (entry.type !== 'dir') newestNs = entry.mtimeNs > newestNs ? entry.mtimeNs : newestNs;
      else if (!deep) newestNs = newestNs || 1n;
      seen += 1;
      if (seen > entriesAtMost || (!deep && seen > 1)) break;
    }
    if (root === undefined) return undefined;
    const { uid, gid, mode } = root;
    const isEmpty = newestNs === 0n;
    return {
      isEmpty,
      newestMs: isEmpty || !deep ? undefined : Number(newestNs / 1_000_000n),
      root: { uid, gid, mode },
      containersRoot,
    };
  } catch (error) {
    if (isAppError(error, 'cancelled')) throw error;
    // Gone, hanging or refused: the audit says nothing about what is in it.
    return undefined;
  }
}
