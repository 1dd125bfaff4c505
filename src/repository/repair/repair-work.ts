import { AppError } from '../../model/errors.ts';
import { type IndexedPack, loadIndexFile, saveIndexFile } from '../blob-index/index-file.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { lockForReading, lockRepository, type RepositoryLock } from '../lock.ts';
import { IndexWriter } from '../prune/rewrite-index.ts';
import type { RepairOptions } from '../requests.ts';
import type { StoreAddress } from '../stores/open-store.ts';
import type { Progress } from '../types.ts';

/** The shared state of a repair's steps. */
export interface RepairWork {
  readonly codec: FileCodec;
  readonly address: StoreAddress;
  readonly masterKey: MasterKey;
  /** Checked before each irreversible step. Undefined for a dry run, which has none. */
  readonly lock: Pick<RepositoryLock, 'assertHeld'> | undefined;
  readonly dryRun: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export function throwIfStopped({ signal }: Pick<RepairWork, 'signal'>): void {
  if (signal?.aborted) throw new AppError('cancelled', 'The repair was stopped');
}

interface Step {
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

type RepairParts = Pick<RepairWork, 'codec' | 'address' | 'masterKey'>;

/** Runs a repair under an exclusive lock; a dry run only reads, alongside other processes. */
export async function runRepair<Report>(
  parts: RepairParts,
  { signal, onProgress, dryRun = false }: RepairOptions,
  repair: (work: RepairWork) => Promise<Report>,
): Promise<Report> {
  const { masterKey } = parts;
  // A cached copy does not prove what is stored.
  const codec = { ...parts.codec, store: parts.codec.store.direct ?? parts.codec.store };
  const address = { ...parts.address, cache: undefined };
  const work = { codec, address, masterKey, signal, onProgress, dryRun };
  if (dryRun) {
    await using _lock = await lockForReading(codec, { signal });
    return await repair({ ...work, lock: undefined });
  }
  await using lock = await lockRepository(codec, { exclusive: true, signal });
  return await repair({ ...work, lock });
}

/** Writes index files, and reads each back before it counts. A dry run writes none. */
export class IndexRewriter {
  readonly #work: RepairWork;
  readonly #names = new Set<string>();
  readonly #writer = new IndexWriter((packs) => this.#save(packs));

  constructor(work: RepairWork) {
    this.#work = work;
  }

  /** The files that were written, which must not be removed. */
  get names(): ReadonlySet<string> {
    return this.#names;
  }

  async add(pack: IndexedPack): Promise<void> {
    if (!this.#work.dryRun) await this.#writer.add(pack);
  }

  /** On return every pack is in a durable index file. */
  async finish(): Promise<void> {
    await this.#writer.finish();
  }

  async #save(packs: readonly IndexedPack[]): Promise<void> {
    const { codec, lock, signal } = this.#work;
    await lock?.assertHeld();
    const name = await saveIndexFile(codec, packs, { signal });
    const readBack = await loadIndexFile(codec, name, { signal });
    const isSame = readBack.length === packs.length && readBack.every(({ id }, i) => id === packs[i]?.id);
    if (!isSame) {
      throw new AppError('integrity', `The index file "${name.slice(0, 8)}" is not what was written`, {
        detail: 'Nothing was removed.',
        hint: 'Look for faults of the disk.',
      });
    }
    this.#names.add(name);
  }
}
