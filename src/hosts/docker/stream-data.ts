import { readTar } from '../../lib/tar/read-tar.ts';
import type { TarSource } from '../../lib/tar/tar-member.ts';
import { writeTar } from '../../lib/tar/write-tar.ts';
import { type ByteString, toPrintable } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { type CallOptions, type StreamData, wholeSeconds } from '../host.ts';
import { type ArchiveStat, checkArchivePath } from './archive-path.ts';
import { type ArchiveTarget, getArchive, putArchive, statArchivePath } from './archive-requests.ts';
import type { EngineClient } from './engine-client.ts';
import { createHelper, type HelperContainer, helperMountpoint, removeHelper } from './helper-container.ts';
import { scanTar, TarScan } from './tar-scan.ts';

interface StreamDataOptions {
  readonly volume: string;
  readonly kind: 'docker' | 'podman';
  readonly write: boolean;
  readonly idleMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What the engine's archive endpoints lose, in words. */
const readLimits = [
  wholeSeconds,
  'extended attributes and ACLs are missing, file capabilities excepted',
  'holes of sparse files are zeros',
  'sockets are left out',
  'what vanishes or cannot be read meanwhile is left out without a word',
];

/** Helpers for reading times: more of them would load the engine without being faster. */
const timesAtOnce = 4;

/** Opens a volume's data through the engine. */
export async function openStreamData(client: EngineClient, options: StreamDataOptions): Promise<StreamData> {
  const data = new EngineStreamData(client, options);
  try {
    await data.prepare();
    return data;
  } catch (error) {
    await data[Symbol.asyncDispose]();
    throw error;
  }
}

class EngineStreamData implements StreamData {
  readonly way = 'stream';
  readonly limits = readLimits;
  readonly #client: EngineClient;
  readonly #options: StreamDataOptions;
  readonly #closing = new AbortController();
  readonly #helpers = new Set<HelperContainer>();
  readonly #idle: HelperContainer[] = [];

  constructor(client: EngineClient, options: StreamDataOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Creates the first helper, so that a volume that cannot be opened fails here. */
  async prepare(): Promise<void> {
    this.#idle.push(await this.#createHelper());
    if (this.#options.signal?.aborted === true) throw this.#cancelled();
  }

  async readTar(path: ByteString, options: CallOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    checkArchivePath(path);
    const lease = await this.#lease(options.signal);
    try {
      const type = await this.#typeOf(lease.target, path);
      // Podman puts a directory under its own name too: asked for its content, it leaves out the directory
      // itself.
      const form = this.#options.kind === 'podman' ? 'itself' : type;
      const raw = await getArchive(lease.target, path, form);
      const scanned = scanTar(raw, new TarScan(), () => this.#endedEarly());
      return released(path === '' ? scanned : rebased(scanned, path, form), lease);
    } catch (error) {
      lease[Symbol.dispose]();
      throw error;
    }
  }

  async readTimes(paths: readonly ByteString[], options: CallOptions = {}): Promise<(bigint | undefined)[]> {
    for (const path of paths) checkArchivePath(path);
    const times: (bigint | undefined)[] = Array.from({ length: paths.length });
    const queue = paths.entries();
    const work = async (): Promise<void> => {
      using lease = await this.#lease(options.signal);
      for (const [index, path] of queue) {
        times[index] = await statArchivePath(lease.target, path).then(
          ({ mtimeNs }) => mtimeNs,
          ignoreMissing,
        );
      }
    };
    await Promise.all(Array.from({ length: Math.min(timesAtOnce, Math.ceil(paths.length / 8)) }, work));
    return times;
  }

  async writeTar(path: ByteString, tar: AsyncIterable<Uint8Array>, options: CallOptions = {}): Promise<void> {
    checkArchivePath(path);
    if (!this.#options.write) {
      throw new AppError(
        'read-only',
        `Cannot write to volume "${this.#options.volume}": it was opened for reading`,
      );
    }
    using lease = await this.#lease(options.signal);
    const type = await this.#typeOf(lease.target, path);
    if (type !== 'dir') {
      throw new AppError(
        'usage',
        `Cannot unpack at "${toPrintable(path)}" in volume "${this.#options.volume}": it is not a directory`,
      );
    }
    const place = path === '' ? helperMountpoint : `${helperMountpoint}/${path}`;
    const late: Entry[] = [];
    await putArchive(lease.target, place, writeTar(withoutLate(tar, late)));
    if (late.length > 0) await putArchive(lease.target, parentOf(place), writeTar(lateMembers(late, place)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // An open stream would delay the engine's removal.
    this.#closing.abort(new AppError('cancelled', `The data of volume "${this.#options.volume}" was closed`));
    const helpers = [...this.#helpers];
    this.#helpers.clear();
    const results = await Promise.allSettled(helpers.map((helper) => removeHelper(this.#client, helper.id)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /**
   * The engine serves one archive request per container at a time, so each concurrent request has its own
   * helper.
   */
  async #lease(signal: AbortSignal | undefined): Promise<Lease> {
    if (this.#closing.signal.aborted)
      throw new AppError('failed', `The data of volume "${this.#options.volume}" is closed`);
    const helper = this.#idle.pop() ?? (await this.#createHelper());
    const signals = [this.#closing.signal, this.#options.signal, signal].filter((one) => one !== undefined);
    let isOut = true;
    return {
      target: {
        client: this.#client,
        helper,
        volume: this.#options.volume,
        idleMs: this.#options.idleMs,
        signal: AbortSignal.any(signals),
      },
      [Symbol.dispose]: () => {
        if (isOut) this.#idle.push(helper);
        isOut = false;
      },
    };
  }

  async #createHelper(): Promise<HelperContainer> {
    const { volume, write } = this.#options;
    const helper = await createHelper(this.#client, { volume, write });
    if (this.#closing.signal.aborted) {
      await removeHelper(this.#client, helper.id);
      throw this.#cancelled();
    }
    this.#helpers.add(helper);
    return helper;
  }

  /**
   * The engine follows symbolic links on the way to a path, within the helper: the data would come from, or
   * go to, a place outside of the volume. So each part of the path must be a directory.
   */
  async #typeOf(target: ArchiveTarget, path: ByteString): Promise<ArchiveStat['type']> {
    if (path === '') return 'dir';
    const parts = path.split('/');
    for (let count = 1; count < parts.length; count += 1) {
      const step = parts.slice(0, count).join('/');
      const { type } = await statArchivePath(target, step);
      if (type === 'dir') continue;
      const message = `Cannot use "${toPrintable(path)}" in volume "${this.#options.volume}"`;
      throw new AppError('usage', message, { detail: `"${toPrintable(step)}" is not a directory.` });
    }
    return (await statArchivePath(target, path)).type;
  }

  #cancelled(): AppError {
    return new AppError('cancelled', `Cannot open volume "${this.#options.volume}": cancelled`);
  }

  #endedEarly(): AppError {
    return new AppError(
      'failed',
      `Cannot read volume "${this.#options.volume}": the engine's stream ended too early`,
      {
        hint: 'A file became shorter while the engine read it, which breaks its stream: stop or pause the consumers and try again.',
      },
    );
  }
}

interface Lease extends Disposable {
  readonly target: ArchiveTarget;
}

/** Releases the helper when the stream has ended or was abandoned. */
async function* released(
  chunks: AsyncIterable<Uint8Array>,
  lease: Lease,
): AsyncGenerator<Uint8Array, void, undefined> {
  using _ = lease;
  yield* chunks;
}

function ignoreMissing(error: unknown): undefined {
  if (!isAppError(error, 'not-found')) throw error;
}

function parentOf(place: ByteString): ByteString {
  return place.slice(0, place.lastIndexOf('/')) || '/';
}

/** The engine's names start at `path`; callers need them from the volume's root. */
function rebased(
  chunks: AsyncIterable<Uint8Array>,
  path: ByteString,
  type: ArchiveStat['type'] | 'itself',
): AsyncIterable<Uint8Array> {
  return writeTar(rebasedMembers(chunks, path, type));
}

async function* rebasedMembers(
  chunks: AsyncIterable<Uint8Array>,
  path: ByteString,
  type: ArchiveStat['type'] | 'itself',
): AsyncGenerator<TarSource> {
  // A single file comes under its own name.
  const base = type === 'dir' ? path : path.slice(0, Math.max(0, path.lastIndexOf('/')));
  const rebase = (name: ByteString): ByteString =>
    name === '' ? base : base === '' ? name : `${base}/${name}`;
  for await (const { entry, body } of readTar(chunks)) {
    const { hardLinkTo } = entry;
    yield {
      entry: {
        ...entry,
        path: rebase(entry.path),
        ...(hardLinkTo === undefined ? {} : { hardLinkTo: rebase(hardLinkTo) }),
      },
      open: () => body,
    };
  }
}

const defaultAcl = 'system.posix_acl_default';

/**
 * Collects in `late` what the engine would get wrong, for a second archive after everything else: it does not
 * touch the directory that it unpacks into, and entries created in a directory inherit its default ACL.
 */
async function* withoutLate(tar: AsyncIterable<Uint8Array>, late: Entry[]): AsyncGenerator<TarSource> {
  for await (const { entry, body } of readTar(tar)) {
    const hasDefaultAcl = entry.xattrs?.some(({ name }) => name === defaultAcl) === true;
    if (entry.path === '' || hasDefaultAcl) late.push(entry);
    if (entry.path === '') continue;
    const early = hasDefaultAcl
      ? { ...entry, xattrs: (entry.xattrs ?? []).filter(({ name }) => name !== defaultAcl) }
      : entry;
    yield { entry: early, open: () => body };
  }
}

/** The held back directories, named from the parent of `place`. */
function* lateMembers(late: readonly Entry[], place: ByteString): Generator<TarSource> {
  const name = place.slice(place.lastIndexOf('/') + 1);
  for (const entry of late)
    yield { entry: { ...entry, path: entry.path === '' ? name : `${name}/${entry.path}` } };
}
