import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Host } from '../hosts/host.ts';
import { makeFolders } from '../lib/make-folders.ts';
import { type FileLock, tryLockFile, tryLockUnwritten } from '../lib/file-lock.ts';
import { holderWords } from '../lib/machine-claim.ts';
import { AppError, errnoOf, isAppError } from '../model/errors.ts';
import { localTime } from '../model/local-time.ts';
import { quote } from '../model/quote.ts';
import type { JobOptions, Protection } from '../activity/index.ts';

export interface LeaseRequest {
  readonly stateDir: string;
  /** The volume's stable identity. */
  readonly identity: string;
  readonly name: string;
  /** What is being done, for the one who finds the volume taken: `back up`, `restore`. */
  readonly action: string;
  /** For what others may reach from a state folder of their own: they are kept away from it too. */
  readonly claim?: LeaseClaim | undefined;
}

export interface LeaseClaim {
  readonly host: Pick<Host, 'claim'>;
  /** What of the host: `volume pg`. */
  readonly what: string;
}

/**
 * An exclusive hold on a volume, within this state folder, and with `claim` on this machine. It ends with the process that
 * took it, however that ends.
 */
export async function takeLease(request: LeaseRequest): Promise<AsyncDisposable> {
  const taken = await tryLock(request);
  if (!('heldBy' in taken)) return await alsoClaimed(taken, request);
  const holder = describeHolder(taken.heldBy);
  throw new AppError(
    'locked',
    `Cannot ${request.action} ${quote(request.name)}: ${holder.who} is at work on it`,
    {
      detail: holder.detail,
      hint: 'Wait until it is done, or end that process.',
    },
  );
}

/**
 * A state folder that takes nothing here may be written to elsewhere: a lease that is there is taken by the same file. Where
 * there is none, all leases are one, on the folder itself.
 */
async function tryLock(request: LeaseRequest): Promise<FileLock | { readonly heldBy: string }> {
  const folder = path.join(request.stateDir, 'leases');
  const file = path.join(folder, createHash('sha256').update(request.identity).digest('hex').slice(0, 32));
  const owner = JSON.stringify({ pid: process.pid, action: request.action, since: new Date().toISOString() });
  try {
    await makeFolders(folder, { mode: 0o700 });
    return await tryLockFile(file, { owner });
  } catch (error) {
    if (!isReadOnly(error)) throw error;
    try {
      return await tryLockUnwritten(file);
    } catch (missing) {
      if (errnoOf(missing) !== 'ENOENT') throw error;
      return await tryLockUnwritten(request.stateDir);
    }
  }
}

/** True for an error of a file system or of modes that let nothing be written. */
export function isReadOnly(error: unknown): boolean {
  return ['EROFS', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '');
}

async function alsoClaimed(taken: FileLock, request: LeaseRequest): Promise<AsyncDisposable> {
  await using held = new AsyncDisposableStack();
  held.use(taken);
  const claim = await request.claim?.host.claim?.(request.claim.what);
  if (claim !== undefined && 'heldBy' in claim) {
    const who = holderWords(claim.heldBy);
    throw new AppError('locked', `Cannot ${request.action} ${quote(request.name)}: ${who} is at work on it`, {
      detail: 'It works from another state folder.',
      hint: 'Wait until it is done, or end that process.',
    });
  }
  held.use(claim);
  return held.move();
}

/** A volume of a host, or a directory. */
export interface ClaimedPlace {
  readonly kind: 'volume' | 'path';
  readonly name: string;
  /** Whose volume it is; undefined is the host that answers. */
  readonly hostIdentity?: string | undefined;
}

interface LeasesRequest {
  readonly places: readonly (ClaimedPlace & Pick<LeaseRequest, 'identity'>)[];
  readonly action: string;
}

/**
 * On one place or several at once, or on none, and on the machine where that keeps somebody away: in one order for all, so
 * that two never wait for each other.
 */
export async function takeLeases(
  parts: Pick<Protection, 'stateDir' | 'host'>,
  { places, action }: LeasesRequest,
  options: JobOptions,
): Promise<AsyncDisposable> {
  const { stateDir } = parts;
  await using leases = new AsyncDisposableStack();
  for (const place of places.toSorted((a, b) => (a.identity < b.identity ? -1 : 1))) {
    const { identity, name } = place;
    const claim = await claimOf(parts, place, options);
    leases.use(await takeLease({ stateDir, identity, name, action, claim }));
  }
  return leases.move();
}

/**
 * What keeps those away from a place who work from another state folder. Undefined for a directory, which belongs to one
 * state folder, for a volume of another host than the one that answers, and where none answers.
 */
export async function claimOf(
  parts: Pick<Protection, 'host'>,
  { kind, name, hostIdentity }: ClaimedPlace,
  { signal }: JobOptions,
): Promise<LeaseClaim | undefined> {
  if (kind === 'path') return undefined;
  try {
    const host = await parts.host();
    if (hostIdentity !== undefined && (await host.info({ signal })).identity !== hostIdentity)
      return undefined;
    return { host, what: `volume ${name}` };
  } catch (error) {
    if (isAppError(error, 'unavailable') || isAppError(error, 'denied')) return undefined;
    throw error;
  }
}

function describeHolder(text: string): { who: string; detail: string | undefined } {
  try {
    const holder: unknown = JSON.parse(text);
    if (
      typeof holder === 'object' &&
      holder !== null &&
      'pid' in holder &&
      'action' in holder &&
      'since' in holder
    ) {
      return {
        who: `process ${String(holder.pid)}`,
        detail: `It began to ${String(holder.action)} it at ${localTime(String(holder.since))}.`,
      };
    }
  } catch {
    // The holder has not written its name yet.
  }
  return { who: 'another Holdfast process', detail: undefined };
}
