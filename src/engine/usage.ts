import type { Host, VolumeData } from '../hosts/host.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import { walkTree } from '../lib/tree-walk.ts';
import { toPrintable } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { findVolume } from './find-volume.ts';
import type { VolumeUsage, VolumeWorkOptions } from './volume-engine.ts';
import { WorkLog } from './work-log.ts';

const shownAtTop = 20;

/** Measures volumes, one after the other. */
export async function measureVolumes(
  host: Host,
  names: readonly string[],
  options: VolumeWorkOptions,
): Promise<VolumeUsage[]> {
  const usages: VolumeUsage[] = [];
  let before = { bytes: 0, files: 0 };
  for (const name of names) {
    await findVolume(host, name, { action: 'measure', signal: options.signal });
    await using data = await host.openData(name, { signal: options.signal });
    const usage = await measureVolume(data, name, {
      signal: options.signal,
      onProgress: ({ bytes, files }) =>
        options.onProgress?.({ bytes: before.bytes + bytes, files: before.files + files }),
    });
    before = { bytes: before.bytes + usage.bytes, files: before.files + usage.files };
    usages.push(usage);
  }
  return usages;
}

interface Measured {
  readonly entry: Entry;
  readonly allocatedBytes?: number;
}

export async function measureVolume(
  data: VolumeData,
  name: string,
  options: VolumeWorkOptions,
): Promise<VolumeUsage> {
  const log = new WorkLog(options);
  const counts = { bytes: 0, allocated: 0, files: 0, directories: 0, others: 0 };
  const top = new Map<string, { bytes: number; files: number }>();
  for await (const { entry, allocatedBytes } of entriesOf(data, log)) {
    // Another name of a file that has been counted.
    if (entry.hardLinkTo !== undefined) continue;
    counts.allocated += allocatedBytes ?? 0;
    counts.bytes += entry.size;
    if (entry.type === 'dir') counts.directories++;
    else if (entry.type === 'file') counts.files++;
    else counts.others++;
    if (entry.path === '') continue;
    const first = entry.path.split('/', 1)[0] ?? '';
    const sum = top.get(first) ?? { bytes: 0, files: 0 };
    sum.bytes += entry.size;
    if (entry.type === 'file') sum.files++;
    top.set(first, sum);
    if (entry.type === 'file') log.onProgress(counts);
  }
  return {
    name,
    bytes: counts.bytes,
    allocatedBytes: data.way === 'direct' ? counts.allocated : undefined,
    files: counts.files,
    directories: counts.directories,
    others: counts.others,
    top: largest(top),
    problems: log.report().problems,
  };
}

async function* entriesOf(data: VolumeData, { signal, onProblem }: WorkLog): AsyncGenerator<Measured> {
  if (data.way === 'direct') yield* walkTree(data.root, { signal, onProblem, statOnly: true });
  else yield* readTar(await data.readTar('', { signal }), { signal, onProblem });
}

function largest(
  top: ReadonlyMap<string, { readonly bytes: number; readonly files: number }>,
): VolumeUsage['top'] {
  return [...top]
    .map(([path, { bytes, files }]) => ({ path: toPrintable(path), bytes, files }))
    .sort((one, other) => other.bytes - one.bytes || (one.path < other.path ? -1 : 1))
    .slice(0, shownAtTop);
}
