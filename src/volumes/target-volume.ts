import type { Host, StreamData } from '../hosts/host.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import type { DirectoryHandle } from '../lib/directory-handle.ts';
import { tryLockDirectory } from '../lib/directory-lock.ts';
import { openTrusted } from '../lib/open-trusted.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Volume, VolumeSpec } from '../model/volume.ts';
import { isEmptyVolume } from './stage.ts';
import type { WorkLog } from './work-log.ts';

export interface TargetVolume {
  readonly volume: Volume;
  readonly wasCreated: boolean;
}

export interface TargetWork<T> {
  readonly existing: Volume | undefined;
  readonly log: WorkLog;
  /** Calls `claim` when it starts to write where it cannot undo its writes. */
  readonly work: (target: TargetVolume, claim: () => void) => Promise<T>;
}

/**
 * Runs `work` on a volume, which is made from `spec` if missing. When the work fails, a volume made for it is
 * removed again, unless another process has put something in it since, or uses it.
 */
export async function withTarget<T>(
  host: Host,
  spec: VolumeSpec & { readonly name: string },
  { existing, log, work }: TargetWork<T>,
): Promise<T> {
  const noClaim = () => undefined;
  if (existing !== undefined) return await work({ volume: existing, wasCreated: false }, noClaim);
  const volume = await host.createVolume(spec, { signal: log.signal });
  let isClaimed = false;
  try {
    return await work({ volume, wasCreated: true }, () => void (isClaimed = true));
  } catch (error) {
    try {
      if (isClaimed || (await isUntouched(host, volume.name))) await host.removeVolume(volume.name);
    } catch (second) {
      if (!isClaimed && isAppError(second) && second.code === 'in-use') throw error;
      throw new AppError('failed', `Cannot fill ${quote(volume.name)}, and cannot remove it again`, {
        detail: `${messageOf(error)} ${messageOf(second)}`,
        hint: `Remove it: holdfast volume rm ${volume.name}`,
        cause: error,
      });
    }
    throw error;
  }
}

/**
 * Two processes that make the same volume at once both take it for their own: the one that fails must not
 * remove the other's data.
 */
async function isUntouched(host: Host, name: string): Promise<boolean> {
  await using data = await host.openData(name);
  if (data.way === 'stream') return await isEmptyStream(data, undefined);
  using root = openTrusted(data.root);
  using lock = tryLockDirectory(root.self);
  return lock !== undefined && (await isEmptyVolume(root));
}

/** Throws `conflict` when a volume holds something. */
export async function requireEmpty(
  data: DirectoryHandle | StreamData,
  {
    action,
    name,
    hint,
    log,
  }: { readonly action: string; readonly name: string; readonly hint: string; readonly log: WorkLog },
): Promise<void> {
  const isEmpty = 'way' in data ? await isEmptyStream(data, log.signal) : await isEmptyVolume(data);
  if (isEmpty) return;
  throw new AppError('conflict', `Cannot ${action} ${quote(name)}: the volume is not empty`, { hint });
}

async function isEmptyStream(data: StreamData, signal: AbortSignal | undefined): Promise<boolean> {
  const tar = await data.readTar('', { signal });
  for await (const { entry } of readTar(tar, { signal })) {
    if (entry.path !== '' && entry.path !== 'lost+found') return false;
  }
  return true;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.message}.` : String(error);
}
