import { hostname } from 'node:os';
import { bootId, isProcessAlive, mayHaveNumber, pidNamespace } from '../lib/process-identity.ts';
import { readUserNames } from '../lib/user-names.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { JsonFields } from './format/json-fields.ts';
import { type FileCodec, loadJson, sealJson } from './format/repository-file.ts';
import type { StoreOptions } from './stores/store.ts';
import { localTime } from '../model/local-time.ts';

/** What a lock file says, as restic writes it. */
export interface LockJson {
  readonly time: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Restic ignores it. */
  readonly holdfast?: {
    /** The run of the machine and the PID namespace in which the number of the process means something. */
    readonly processSpace: string;
  };
}

/** A lock that is not renewed for this long is stale, for restic too. */
const staleMs = 30 * 60_000;
/** Where the store does not tell when a lock was written, two clocks are compared: one of them may be hours off. */
const staleByOwnTimeMs = 24 * 60 * 60_000;
const renewMs = 5 * 60_000;

export interface LockOptions {
  /** An exclusive lock allows no other, a shared one allows other shared ones. */
  readonly exclusive: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes a lock in the repository, renews it while it is held, and removes it when it is disposed. `locked` names
 * who holds a lock that conflicts. Locks of processes that have certainly died are removed on the way.
 */
export async function lockRepository(codec: FileCodec, options: LockOptions): Promise<RepositoryLock> {
  await refuseConflicts(codec, options);
  const lock = new RepositoryLock(codec, options.exclusive);
  try {
    await lock.take(options);
    // Two that lock at the same time both have their file there before either looks again.
    await refuseConflicts(codec, options, lock);
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
  return lock;
}

/** For one who only looks, and changes nothing. */
export const noLock = { assertHeld: async (): Promise<void> => {} };

/**
 * The shared lock of one who only reads. Undefined where none can be written, as on a full or read-only disk: what is
 * saved there must come back all the same, and a prune that could take data away meanwhile cannot write either.
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
  /** Every lock file of this lock that may be in the store: a write that failed may have arrived all the same. */
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

  /** Writes the first lock file, and renews it from then on. When it throws, the lock has to be disposed. */
  async take({ signal }: StoreOptions = {}): Promise<void> {
    this.#name = await this.#write(signal);
    this.#timer = setInterval(() => {
      // A renewal that fails is tried again at the next tick; the lock is good for 30 minutes.
      void this.renew().catch(() => undefined);
    }, renewMs);
    this.#timer.unref();
  }

  /**
   * A lock that another program removed is not taken again: what it kept safe may have been changed since. While one
   * renewal runs, as for minutes in an outage, another call waits for the same one.
   */
  async renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined));
    await this.#renewing;
  }

  /**
   * Throws `locked` when the lock is gone: this machine slept until it was stale, or another user ran "unlock". Data that
   * was found in the repository meanwhile may have been pruned, so nothing may be built upon it.
   */
  async assertHeld(): Promise<void> {
    // What counts is whether the lock is there, not why a renewal failed.
    await this.#renewing?.catch(() => undefined);
    for (let name = this.#name; !this.#isLost; name = this.#name) {
      if (await this.#isThere(name ?? '')) return;
      // Else a renewal has replaced it since.
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
    // One that cannot be removed is stale as soon as this process has ended. It must not hide how the work went. One that
    // could not even be written is not worth another wait of minutes.
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
      // It may have been removed, and the repository locked by another program, before the new one was there.
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

  /** What cannot be removed now is tried again at the next renewal, and at the end. */
  async #removeAllBut(kept: string | undefined, signal?: AbortSignal): Promise<void> {
    for (const name of this.#stored) {
      if (name === kept) continue;
      try {
        await this.#codec.store.remove('locks', name, { signal });
        this.#stored.delete(name);
      } catch {
        // It is stale in 30 minutes.
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

/** What a lock says. `integrity` when it cannot be read. */
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
      hint: `When nobody works in the repository: holdfast unlock --remove-all. The lock is the file "locks/${name}".`,
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
    // What does not say that it can be shared cannot.
    exclusive: exclusive !== false,
    hostname: fields.text('hostname') ?? '',
    username: fields.text('username') ?? '',
    pid: fields.integer('pid'),
    ...(typeof space === 'string' && { holdfast: { processSpace: space } }),
  };
}

async function removeIfDead(codec: FileCodec, name: string, lock: LockJson): Promise<boolean> {
  if ((await whyStale(codec, { name, lock })) === undefined) return false;
  // Where it cannot be removed, it is dead all the same.
  await codec.store.remove('locks', name).catch(() => undefined);
  return true;
}

export interface FoundLock {
  readonly name: string;
  readonly lock: LockJson;
}

/**
 * Why no process can hold a lock any more; undefined when one may. On a user's demand more counts as dead: of a lock of
 * another program it is not known whether its process would be seen here.
 */
export async function whyStale(
  codec: FileCodec,
  { name, lock }: FoundLock,
  { byHand = false } = {},
): Promise<'its process has ended' | 'it was not renewed' | undefined> {
  if (hasEnded(lock, byHand)) return 'its process has ended';
  return (await isOld(codec, { name, lock })) ? 'it was not renewed' : undefined;
}

/** By the store's clock: this machine's, and that of the machine which holds the lock, may be wrong. */
async function isOld({ store }: FileCodec, { name, lock }: FoundLock): Promise<boolean> {
  // Most locks are fresh by all clocks.
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
    // What takes no write can only be read, and what a dead machine left there would keep it from being read for ever.
    const takesNoWrite = (['read-only', 'full', 'denied'] as const).some((code) => isAppError(error, code));
    return takesNoWrite && ownAgeMs(lock) > staleByOwnTimeMs;
  }
}

function ownAgeMs({ time }: LockJson): number {
  return Date.now() - Date.parse(time);
}

/** A machine of this name took it in another run. Its clock is this one's, unless two machines share the name. */
function isOfEarlierBoot({ hostname: name, holdfast }: LockJson): boolean {
  const boot = bootId();
  return name === hostname() && boot !== '' && holdfast?.processSpace.startsWith(`${boot} `) === false;
}

/** The name of a machine is no proof: containers may share it, and do not see each other's processes. */
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
