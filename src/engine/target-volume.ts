import type { Host, VolumeData } from '../hosts/host.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Volume, VolumeSpec } from '../model/volume.ts';
import { isEmptyVolume } from './stage.ts';
import type { WorkLog } from './work-log.ts';

export interface TargetVolume {
  readonly volume: Volume;
  readonly wasCreated: boolean;
}

/**
 * Runs `work` on a volume, which is made from `spec` when it does not exist. When the work fails, a volume that was made
 * for it is removed again.
 */
export async function withTarget<T>(
  host: Host,
  spec: VolumeSpec & { readonly name: string },
  {
    existing,
    log,
    work,
  }: { existing: Volume | undefined; log: WorkLog; work: (target: TargetVolume) => Promise<T> },
): Promise<T> {
  if (existing !== undefined) return await work({ volume: existing, wasCreated: false });
  const volume = await host.createVolume(spec, { signal: log.signal });
  try {
    return await work({ volume, wasCreated: true });
  } catch (error) {
    await host.removeVolume(volume.name).catch((second: unknown) => {
      throw new AppError('failed', `Cannot fill ${quote(volume.name)}, and cannot remove it again`, {
        detail: `${messageOf(error)} ${messageOf(second)}`,
        hint: `Remove it: holdfast volume rm ${volume.name}`,
        cause: error,
      });
    });
    throw error;
  }
}

/** Throws `conflict` when a volume holds something. */
export async function requireEmpty(
  data: VolumeData,
  {
    action,
    name,
    hint,
    log,
  }: { readonly action: string; readonly name: string; readonly hint: string; readonly log: WorkLog },
): Promise<void> {
  const isEmpty = data.way === 'direct' ? await isEmptyVolume(data.root) : await isEmptyStream(data, log);
  if (isEmpty) return;
  throw new AppError('conflict', `Cannot ${action} ${quote(name)}: the volume is not empty`, { hint });
}

async function isEmptyStream(
  data: Extract<VolumeData, { way: 'stream' }>,
  { signal }: WorkLog,
): Promise<boolean> {
  const tar = await data.readTar('', { signal });
  for await (const { entry } of readTar(tar, { signal })) {
    if (entry.path !== '' && entry.path !== 'lost+found') return false;
  }
  return true;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.message}.` : String(error);
}
