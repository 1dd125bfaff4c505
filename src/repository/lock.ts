import { hostname } from 'node:os';
import { bootId, isProcessAlive, mayHaveNumber, pidNamespace } from '../lib/process-identity.ts';
import { readUserNames } from '../lib/user-names.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { JsonFields } from './format/json-fields.ts';
import { type FileCodec, loadJson, sealJson } from './format/repository-file.ts';
import type { StoreOptions } from './stores/store.ts';
import { localTime } from '../model/local-time.ts';

/** The content of a lock file, as restic writes it. */
export interface LockJson {
  readonly time: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Restic ignores this field. */
  readonly holdfast?: {
    /** The boot and the PID namespace in which the process number is valid. */
    readonly processSpace: string;
  };
}

/** A lock that is not renewed for this long is stale, as in restic. */
const staleMs = 30 * 60_000;
/**
 * Used where the store does not say when a lock was written: two clocks are compared then, and one may be
 * hours off.
 */
const staleByOwnTimeMs = 24 * 60 * 60_000;
const renewMs = 5 * 60_000;

export interface LockOptions {
  /** An exclusive lock excludes all others; a shared one allows other shared ones. */
  readonly exclusive: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes a lock in the repository, renews it while it is held, and removes it when it is disposed. `locked`
 * names the holder of a conflicting lock. Locks of processes that have certainly died are removed first.
 */
export async function lockRepository(codec: FileCodec, options: LockOptions): Promise<RepositoryLock> {
  await refuseConflicts(codec, options);
  const lock = new RepositoryLock(codec, options.exclusive);
  try {
    await lock.take(options);
    // When two processes lock at once, both files exist before either process checks again.
    await refuseConflicts(codec, options, lock);
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
  return lock;
}

/** For a caller that reads and changes nothing. */
export const noLock = { assertHeld: async (): Promise<void> => {} };

/**
 * A shared lock for a caller that only reads. Undefined where no lock can be written, as on a full or
 * read-only disk: a restore must still work there, and a prune that could remove data meanwhile cannot write
 * either.
 */
export async function lockForReading(
  codec: FileCodec,
  options: Omit<LockOptions, 'exclusive'>,
): Promise<RepositoryLock | undefined> {
  try {
    return await lockRepository(codec, { ...options, exclusive: false });
  } catch (error) {
    if (isAppError(error, 'full') || isAppError(error, 'read-only') || isAppError(error, 'denied'))
      return undefined;
    throw error;
  }
}

export class RepositoryLock implements AsyncDisposable {
  readonly #codec: FileCodec;
  readonly #exclusive: boolean;
  readonly #ending = new AbortController();
  /** Every file of this lock that may be in the store: a write that failed may still have arrived. */
  readonly #stored = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #name: string | undefined;
  #renewing: Promise<void> | undefined;
  #isLost = false;

  constructor(codec: FileCodec, exclusive: boolean) {
    this.#codec = codec;
    this.#exclusive = exclusive;
  }

  get name(): string | undefined {
    return this.#name;
  }

  isOwn(name: string): boolean {
    return this.#stored.has(name);
  }

  /**
   * Writes the first lock file, and renews it from then on. The caller disposes the lock even when this
   * throws.
   */
  async take({ signal }: StoreOptions = {}): Promise<void> {
    this.#name = await this.#write(signal);
    this.#timer = setInterval(() => {
      // A failed renewal is tried again at the next tick; the lock is valid for 30 minutes.
      void this.renew().catch(() => undefined);
    }, renewMs);
    this.#timer.unref();
  }

  /**
   * A lock that another program removed is not taken again: what it protected may have changed since. While
   * one renewal runs, for minutes in an outage, other calls wait for it.
   */
  async renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined));
    await this.#renewing;
  }

  /**
   * Throws `locked` when the lock is gone: this machine slept until it was stale, or another user ran
   * "unlock". Data found in the repository meanwhile may have been pruned, so nothing may build on it.
   */
  async assertHeld(): Promise<void> {
    // What counts is whether the lock exists, not why a renewal failed.
    await this.#renewing?.catch(() => undefined);
    for (let name = this.#name; !this.#isLost; name = this.#name) {
      if (await this.#isThere(name ?? '')) return;
      // Otherwise a renewal has replaced it.
      if (name === this.#name) break;
    }
    throw new AppError(
      'locked',
      `The lock on repository "${this.#codec.store.location}" was removed by another program`,
      {
        hint: 'Run the command again: what is stored by now is not stored again.',
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#ending.abort();
    // The lock is removed now, renewed or not.
    await this.#renewing?.catch(() => undefined);
    // A lock that cannot be removed becomes stale when this process ends, and must not hide the result of the
    // work. A lock that could not even be written is not worth minutes of retries.
    const isTaken = this.#name !== undefined;
    await this.#removeAllBut(undefined, isTaken ? undefined : AbortSignal.timeout(10_000));
    this.#name = undefined;
  }

  async #renew(): Promise<void> {
    const { signal } = this.#ending;
    const previous = this.#name;
    if (previous === undefined || this.#isLost) return;
    if (await this.#isThere(previous, signal)) {
      const next = await this.#write(signal);
      // The old file may have been removed, and the repository locked by another program, before the new file
      // existed.
      if (await this.#isThere(previous, signal)) {
        this.#name = next;
        await this.#removeAllBut(next);
        return;
      }
    }
    this.#isLost = true;
    await this.#removeAllBut(undefined);
  }

  async #write(signal: AbortSignal | undefined): Promise<string> {
    const { name, content } = sealJson(this.#codec, describeSelf(this.#exclusive));
    this.#stored.add(name);
    await this.#codec.store.save('locks', name, content, { signal });
    return name;
  }

  async #isThere(name: string, signal?: AbortSignal): Promise<boolean> {
    return await this.#codec.store.exists('locks', name, { signal });
  }

  /** A file that cannot be removed now is removed at the next renewal, or at the end. */
  async #removeAllBut(kept: string | undefined, signal?: AbortSignal): Promise<void> {
    for (const name of this.#stored) {
      if (name === kept) continue;
      try {
        await this.#codec.store.remove('locks', name, { signal });
        this.#stored.delete(name);
      } catch {
        // The file becomes stale in 30 minutes.
      }
    }
  }
}

async function refuseConflicts(codec: FileCodec, options: LockOptions, own?: RepositoryLock): Promise<void> {
  for (const { name } of await codec.store.list('locks', { signal: options.signal })) {
    if (own?.isOwn(name) === true) continue;
    const other = await readLock(codec, name);
    if (!other) continue;
    if (await removeIfDead(codec, name, other)) continue;
    if (options.exclusive || other.exclusive)
      throw lockedError(codec.store.location, other, options.exclusive);
  }
}

/** Reads a lock file. `integrity` when it cannot be read. */
export async function loadLock(codec: FileCodec, name: string): Promise<LockJson> {
  return parseLock(await loadJson<unknown>(codec, 'locks', name));
}

async function readLock(codec: FileCodec, name: string): Promise<LockJson | undefined> {
  try {
    return await loadLock(codec, name);
  } catch (error) {
    if (isAppError(error, 'not-found')) return undefined;
    if (!isAppError(error, 'integrity')) throw error;
    throw new AppError('locked', `Repository "${codec.store.location}" has a lock that cannot be read`, {
      detail: error.message,
      hint: `When nothing works in the repository: holdfast unlock --remove-all. The lock is the file "locks/${name}".`,
      cause: error,
    });
  }
}

function parseLock(json: unknown): LockJson {
  const fields = new JsonFields(json, 'A lock');
  const { exclusive, holdfast } = json as Partial<LockJson>;
  const space: unknown = holdfast?.processSpace;
  return {
    time: fields.text('time') ?? '',
    // A lock counts as exclusive unless it says that it is shared.
    exclusive: exclusive !== false,
    hostname: fields.text('hostname') ?? '',
    username: fields.text('username') ?? '',
    pid: fields.integer('pid'),
    ...(typeof space === 'string' && { holdfast: { processSpace: space } }),
  };
}

async function removeIfDead(codec: FileCodec, name: string, lock: LockJson): Promise<boolean> {
  if ((await whyStale(codec, { name, lock })) === undefined) return false;
  // The lock is dead even if it cannot be removed.
  await codec.store.remove('locks', name).catch(() => undefined);
  return true;
}

export interface FoundLock {
  readonly name: string;
  readonly lock: LockJson;
}

/**
 * Why no process can still hold a lock; undefined when one may. When the user asked for it (`byHand`), more
 * locks count as dead: a process of another program may be invisible from here.
 */
export async function whyStale(
  codec: FileCodec,
  { name, lock }: FoundLock,
  { byHand = false } = {},
): Promise<'its process has ended' | 'it was not renewed' | undefined> {
  if (hasEnded(lock, byHand)) return 'its process has ended';
  return (await isOld(codec, { name, lock })) ? 'it was not renewed' : undefined;
}

/** Uses the store's clock: this machine's clock, and that of the lock's holder, may be wrong. */
async function isOld({ store }: FileCodec, { name, lock }: FoundLock): Promise<boolean> {
  // Most locks are fresh by every clock.
  if (Math.abs(Date.now() - Date.parse(lock.time)) < staleMs / 2) return false;
  try {
    const times = await store.times?.('locks', name);
    if (times === undefined) return false;
    const { nowMs, writtenMs } = times;
    if (writtenMs !== undefined) return nowMs - writtenMs > staleMs;
    const ageMs = nowMs - Date.parse(lock.time);
    return ageMs > staleByOwnTimeMs || (isOfEarlierBoot(lock) && Math.min(ageMs, ownAgeMs(lock)) > staleMs);
  } catch (error) {
    if (isAppError(error, 'cancelled') || isAppError(error, 'unavailable')) throw error;
    // A store that takes no writes can only be read, and a stale lock in it would prevent that for ever.
    const takesNoWrite = (['read-only', 'full', 'denied'] as const).some((code) => isAppError(error, code));
    return takesNoWrite && ownAgeMs(lock) > staleByOwnTimeMs;
  }
}

function ownAgeMs({ time }: LockJson): number {
  return Date.now() - Date.parse(time);
}

/**
 * A machine of this name took the lock before its last boot. Its clock is this one's, unless two machines
 * share the name.
 */
function isOfEarlierBoot({ hostname: name, holdfast }: LockJson): boolean {
  const boot = bootId();
  return name === hostname() && boot !== '' && holdfast?.processSpace.startsWith(`${boot} `) === false;
}

/** A host name proves nothing: containers may share it and not see each other's processes. */
function hasEnded(lock: LockJson, byHand: boolean): boolean {
  const { pid, holdfast } = lock;
  if (lock.hostname !== hostname()) return false;
  if (holdfast !== undefined && holdfast.processSpace !== processSpace()) return false;
  if (pid === process.pid) return (holdfast !== undefined || byHand) && isOfEarlierProcess(lock);
  return !isProcessAlive(pid) && (holdfast !== undefined || byHand || !mayHaveNumber(pid));
}

function processSpace(): string {
  return `${bootId()} ${pidNamespace()}`;
}

function isOfEarlierProcess(lock: LockJson): boolean {
  return Date.parse(lock.time) < performance.timeOrigin - 1000;
}

function describeSelf(exclusive: boolean): LockJson {
  const uid = process.getuid?.() ?? 0;
  const username = readUserNames().user(uid);
  return {
    time: new Date().toISOString(),
    exclusive,
    hostname: hostname(),
    username,
    pid: process.pid,
    uid,
    gid: process.getgid?.() ?? 0,
    holdfast: { processSpace: processSpace() },
  };
}

function lockedError(location: string, other: LockJson, wantedExclusive: boolean): AppError {
  const kind = other.exclusive ? 'an exclusive lock' : 'a lock';
  return new AppError(
    'locked',
    `Repository "${location}" is locked: process ${other.pid} on "${other.hostname}" holds ${kind}`,
    {
      detail: `Since ${localTime(other.time)}, as "${other.username}"${wantedExclusive ? '; this work needs the repository for itself' : ''}.`,
      hint: 'Wait until it is done. A lock whose process has died is removed by itself; where that cannot be seen, as of another machine or container, it goes after 30 minutes without a renewal by the clock of the store (after a day where the store does not tell when a file was written), or by "holdfast unlock".',
    },
  );
}
