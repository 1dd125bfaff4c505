import type { Host, VolumeData } from '../../hosts/host.ts';
import { knownError } from '../../lib/known-error.ts';
import { measureTree, TreeUsage } from '../../lib/measure-tree.ts';
import { requireAnswer } from '../../lib/require-answer.ts';
import { readTar } from '../../lib/tar/read-tar.ts';
import { toPrintable } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { findVolume } from '../find-volume.ts';
import type { VolumeFailure, VolumeUsage, VolumeWorkOptions } from '../host-volumes.ts';
import { WorkLog } from '../work-log.ts';

const shownAtTop = 20;

/** Measures volumes one after the other. An error appears in its volume's place. */
export async function measureVolumes(
  host: Host,
  names: readonly string[],
  options: VolumeWorkOptions,
): Promise<(VolumeUsage | VolumeFailure)[]> {
  const rows: (VolumeUsage | VolumeFailure)[] = [];
  await findAll(host, names, options);
  let before = { bytes: 0, files: 0 };
  for (const name of names) {
    const onProgress: VolumeWorkOptions['onProgress'] = ({ bytes, files }) =>
      options.onProgress?.({ bytes: before.bytes + bytes, files: before.files + files });
    try {
      await using data = await host.openData(name, { signal: options.signal });
      if (data.way === 'direct') await requireAnswer(data.root, { name, signal: options.signal });
      const usage = await measureVolume(data, name, { signal: options.signal, onProgress });
      before = { bytes: before.bytes + usage.bytes, files: before.files + usage.files };
      rows.push(usage);
    } catch (error) {
      if (options.signal?.aborted === true || isAppError(error, 'cancelled')) throw error;
      rows.push({ name, error: knownError(error, `Cannot measure ${quote(name)}`) });
    }
  }
  return rows;
}

/** Lists all at once, and asks for a single volume only when it is not listed, for the error. */
async function findAll(host: Host, names: readonly string[], { signal }: VolumeWorkOptions): Promise<void> {
  const listed = new Set((await host.listVolumes({ signal })).map(({ name }) => name));
  for (const name of names)
    if (!listed.has(name)) await findVolume(host, name, { action: 'measure', signal });
}

export async function measureVolume(
  data: VolumeData,
  name: string,
  options: VolumeWorkOptions,
): Promise<VolumeUsage> {
  const log = new WorkLog(options);
  const { bytes, allocatedBytes, files, directories, others, top } = await usageOf(data, log);
  return {
    name,
    bytes,
    allocatedBytes: data.way === 'direct' ? allocatedBytes : undefined,
    files,
    directories,
    others,
    top: largest(top),
    problems: log.report().problems,
  };
}

async function usageOf(data: VolumeData, log: WorkLog): Promise<TreeUsage> {
  const { signal, onProblem } = log;
  return await measureData(data, { signal, onProblem, onProgress: (usage) => log.onProgress(usage) });
}

/** Reads all of a volume's data, or all names through its engine. */
export async function measureData(
  data: VolumeData,
  { signal, onProblem, onProgress }: NonNullable<Parameters<typeof measureTree>[1]>,
): Promise<TreeUsage> {
  if (data.way === 'direct') return await measureTree(data.root, { signal, onProblem, onProgress });
  const usage = new TreeUsage();
  for await (const { entry } of readTar(await data.readTar('', { signal }), { signal, onProblem })) {
    // Another name of a file that was counted.
    if (entry.hardLinkTo !== undefined) continue;
    const kind = entry.type === 'file' || entry.type === 'dir' ? entry.type : 'other';
    const targetBytes = entry.linkTarget?.length;
    usage.add({ kind, bytes: entry.size, targetBytes, allocatedBytes: 0 }, entry.path.split('/', 1)[0] ?? '');
    if (kind === 'file') onProgress?.(usage);
  }
  return usage;
}

function largest(
  top: ReadonlyMap<string, { readonly bytes: number; readonly files: number }>,
): VolumeUsage['top'] {
  return [...top]
    .map(([path, { bytes, files }]) => ({ path: toPrintable(path), bytes, files }))
    .sort((one, other) => other.bytes - one.bytes || (one.path < other.path ? -1 : 1))
    .slice(0, shownAtTop);
}
