import { AppError } from '../../model/errors.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { FileCodec } from '../format/repository-file.ts';
import type { RepositoryLock } from '../lock.ts';
import type { StoreAddress } from '../stores/open-store.ts';
import type { Progress } from '../types.ts';

/** What the steps of a repair share. */
export interface RepairWork {
  readonly codec: FileCodec;
  readonly address: StoreAddress;
  readonly masterKey: MasterKey;
  /** Asked before each step that cannot be taken back. Undefined for a dry run, which takes none. */
  readonly lock: Pick<RepositoryLock, 'assertHeld'> | undefined;
  readonly dryRun: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export function throwIfStopped({ signal }: Pick<RepairWork, 'signal'>): void {
  if (signal?.aborted) throw new AppError('cancelled', 'The repair was stopped');
}

export interface Step {
  readonly phase: string;
  readonly done: number;
  readonly total: number | undefined;
  readonly bytes?: number;
}

export function tellProgress(
  { onProgress }: Pick<RepairWork, 'onProgress'>,
  { phase, done, total, bytes = 0 }: Step,
): void {
  onProgress?.({
    phase,
    filesDone: done,
    filesTotal: total,
    bytesDone: bytes,
    bytesTotal: undefined,
    current: undefined,
  });
}

const atOnce = 16;

/** Removes files, a few at a time, as long as the lock is held. */
export async function removeFiles(
  work: RepairWork,
  type: 'index' | 'data' | 'snapshots',
  names: readonly string[],
): Promise<void> {
  for (let done = 0; done < names.length; done += atOnce) {
    throwIfStopped(work);
    await work.lock?.assertHeld();
    const some = names.slice(done, done + atOnce);
    await Promise.all(some.map((name) => work.codec.store.remove(type, name, { signal: work.signal })));
    tellProgress(work, { phase: `removing old ${type}`, done: done + some.length, total: names.length });
  }
}
