import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { JobOptions } from '../activity/index.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Host, HostScope } from '../hosts/host.ts';
import { type FileLock, ownerIn, tryLockFile, tryLockUnwritten } from '../lib/file-lock.ts';
import { holderWords } from '../lib/machine-claim.ts';
import { makeFolders } from '../lib/durable-file.ts';
import { AppError, errnoOf, isAppError } from '../model/errors.ts';
import { localTime } from '../model/local-time.ts';
import { quote } from '../model/quote.ts';
import { isVolumeName } from '../model/volume-name.ts';
import { pathIdentity, volumeIdentity } from './identity.ts';
import { partsOfVolume, type Work, works } from './works.ts';

/** A volume of a host, or a directory. */
export interface LeasePlace {
  readonly kind: 'volume' | 'path';
  readonly name: string;
  /** The volume's host; undefined means the host that answers. */
  readonly hostIdentity?: string | undefined;
  /** The identity that its snapshots share; found by its name unless given. */
  readonly identity?: string | undefined;
  /**
   * The work may have the engine remove the volume. If it is our plugin's, the plugin then takes its own
   * hold.
   */
  readonly isRemovedThere?: boolean | undefined;
}

export interface LeasesRequest {
  readonly places: readonly LeasePlace[];
  readonly work: Work;
}

/** Where leases are taken. */
export interface LeaseScope {
  readonly stateDir: string;
  /** Undefined where the state folder is missing or cannot be written to: then the machine's claim is the only hold. */
  readonly catalog: Catalog | undefined;
  /** Without it, the volumes are those that no other state folder reaches. */
  readonly host?: (() => Promise<Host>) | undefined;
}

/** The volumes of a host, and what the state folder knows of them. */
export interface VolumeScope extends HostScope {
  readonly catalog: Catalog;
}

/** The same, with a catalog that is not opened yet. */
export interface VolumeAccess extends HostScope {
  readonly catalog: () => Promise<Catalog>;
}

/** A command without a state folder creates none for its lease. */
export async function openLeaseScope(access: VolumeAccess): Promise<LeaseScope & HostScope> {
  const none = { ...access, catalog: undefined };
  if (!existsSync(access.stateDir)) return none;
  try {
    return { ...access, catalog: await access.catalog() };
  } catch (error) {
    if (isAppError(error, 'denied') || isAppError(error, 'read-only') || isAppError(error, 'full'))
      return none;
    throw error;
  }
}

/**
 * Takes what a work holds of one or more places at once (`works.ts`), against this process, other processes,
 * other state folders and other users of the machine. `locked` names the holder, and then nothing is held.
 * Never waits for another work, so two never wait for each other. A lease ends with its process, even by a
 * kill.
 */
export async function takeLeases(
  scope: LeaseScope,
  { places, work }: LeasesRequest,
  options: JobOptions,
): Promise<AsyncDisposable> {
  await using leases = new AsyncDisposableStack();
  const holdings = new Map<string, Holding>();
  for (const place of places) {
    for (const holding of await holdingsOf(scope, { place, work }, options)) {
      const key = holding.identity ?? holding.claim?.what ?? '';
      // A volume that is reached in two ways may be named by both.
      holdings.set(key, { ...holding, claim: holding.claim ?? holdings.get(key)?.claim });
    }
  }
  for (const [, { name, identity, claim }] of [...holdings].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    for (const part of partsOfVolume) {
      const held = works[work][part];
      if (held === undefined) continue;
      const ofPart = (what: string): string => (part === 'turn' ? what : `${part} of ${what}`);
      const isShared = held === 'shared';
      const request = {
        name,
        action: work,
        isShared,
        claim: claim && { ...claim, what: ofPart(claim.what) },
      };
      if (identity === undefined) leases.use(await takeClaim(request));
      else {
        const inFolder = {
          stateDir: scope.stateDir,
          identity: ofPart(identity),
          mayBeFolder: part === 'turn',
          passesFull: true,
        };
        leases.use(await takeLease({ ...request, ...inFolder }));
      }
    }
  }
  return leases.move();
}

interface Holding {
  readonly name: string;
  /** Undefined where the state folder is missing or read-only: then the machine's claim is the only hold. */
  readonly identity: string | undefined;
  readonly claim: LeaseClaim | undefined;
}

async function holdingsOf(
  scope: LeaseScope,
  { place, work }: { readonly place: LeasePlace; readonly work: Work },
  options: JobOptions,
): Promise<Holding[]> {
  const { catalog } = scope;
  const { kind, name, hostIdentity } = place;
  if (catalog === undefined)
    return [{ name, identity: place.identity, claim: await claimOf(scope, place, options) }];
  if (kind === 'path')
    return [{ name, identity: place.identity ?? pathIdentity(catalog, name), claim: undefined }];
  const own = { hostIdentity: catalog.stateId(), name };
  // No volume of ours can have such a name: the work says so, and a lease would leave a file.
  const isNone = !isVolumeName(name);
  if (hostIdentity === own.hostIdentity)
    return isNone
      ? []
      : [{ name, identity: place.identity ?? volumeIdentity(catalog, own), claim: undefined }];
  const host = await hostOf(scope, place, options);
  const of = hostIdentity ?? (await host?.info({ signal: options.signal }))?.identity ?? own.hostIdentity;
  if (isNone && of === own.hostIdentity) return [];
  const identity = place.identity ?? volumeIdentity(catalog, { hostIdentity: of, name });
  const holding = { name, identity, claim: host && { host, what: `volume ${name}` } };
  if (host === undefined) return [holding];
  const ownIdentity = volumeIdentity(catalog, own);
  const isRemovedThere = work === 'remove' || place.isRemovedThere === true;
  // One name for both ways is held already, and one of its own is left to the plugin.
  if (isRemovedThere !== (identity === ownIdentity)) return [holding];
  if (!(await isOwnByPlugin(host, { catalog, name }, options))) return [holding];
  // The plugin takes this very name: other works by the engine are kept away on the machine alone.
  if (isRemovedThere) return [{ ...holding, identity: undefined }];
  return [holding, { name, identity: ownIdentity, claim: undefined }];
}

/**
 * True for a volume that an engine has by our plugin, and that the embedded host has as well: work on it by the engine
 * keeps both ways to it. The engine hands a removal to the plugin, another process, which takes a hold of its own.
 */
async function isOwnByPlugin(
  host: Host,
  { catalog, name }: { readonly catalog: Catalog; readonly name: string },
  { signal }: JobOptions,
): Promise<boolean> {
  if (host.kind === 'embedded') return false;
  if (catalog.findManagedVolume(name) === undefined) return false;
  try {
    const volume = await host.findVolume(name, { signal });
    return volume !== undefined && volume.driver !== 'local';
  } catch (error) {
    // An engine cannot tell of it while our plugin does not run, and the work may well not need that: to hold more is safe.
    if (!isAppError(error) || error.code === 'cancelled') throw error;
    return true;
  }
}

/**
 * The claim that keeps out processes with another state folder. Undefined for a directory, which belongs to
 * one state folder, for a volume of a host other than the one that answers, and where none answers.
 */
export async function claimOf(
  scope: Pick<LeaseScope, 'host'>,
  place: LeasePlace,
  options: JobOptions,
): Promise<LeaseClaim | undefined> {
  const host = await hostOf(scope, place, options);
  return host && { host, what: `volume ${place.name}` };
}

async function hostOf(
  scope: Pick<LeaseScope, 'host'>,
  { kind, hostIdentity }: LeasePlace,
  { signal }: JobOptions,
): Promise<Host | undefined> {
  if (kind === 'path') return undefined;
  try {
    const host = await scope.host?.();
    if (hostIdentity !== undefined && (await host?.info({ signal }))?.identity !== hostIdentity)
      return undefined;
    return host;
  } catch (error) {
    if (isAppError(error, 'unavailable') || isAppError(error, 'denied')) return undefined;
    throw error;
  }
}

export interface LeaseClaim {
  readonly host: Pick<Host, 'claim'>;
  /** What is claimed on the host: `volume pg`. */
  readonly what: string;
}

interface ClaimRequest {
  readonly name: string;
  /** What is being done, for a process that finds it taken: `back up`, `restore`. */
  readonly action: string;
  /** For what other state folders may reach: a claim keeps them out too. */
  readonly claim?: LeaseClaim | undefined;
  /** Shared with other holders that share it. */
  readonly isShared?: boolean | undefined;
}

export interface LeaseRequest extends ClaimRequest {
  readonly stateDir: string;
  /** What the volume's snapshots share, or what else is held. */
  readonly identity: string;
  /** False where the state folder itself must not be locked instead when it is read-only. */
  readonly mayBeFolder?: boolean | undefined;
  /** A full disk is passed by in the same way. Not for what is held many times over: the second would wait for the first. */
  readonly passesFull?: boolean | undefined;
}

/** One hold within this state folder, and with `claim` on this machine. */
export async function takeLease(request: LeaseRequest): Promise<AsyncDisposable> {
  await using held = new AsyncDisposableStack();
  const taken = await tryLock(request);
  if (taken !== undefined && 'heldBy' in taken) throw isTaken(request, describeHolder(taken.heldBy));
  held.use(taken);
  held.use(await takeClaim(request));
  return held.move();
}

async function takeClaim(request: ClaimRequest): Promise<AsyncDisposable | undefined> {
  const { claim, isShared } = request;
  const claimed = await claim?.host.claim?.(claim.what, { isShared });
  if (claimed === undefined || !('heldBy' in claimed)) return claimed;
  throw isTaken(request, {
    who: holderWords(claimed.heldBy),
    detail: 'It works from another state folder.',
  });
}

function isTaken({ action, name }: ClaimRequest, { who, detail }: HolderInWords): AppError {
  return new AppError('locked', `Cannot ${action} ${quote(name)}: ${who} is at work on it`, {
    detail,
    hint: 'Wait until it is done, or end that process.',
  });
}

/** The file goes with the volume. Else it stays: on a full disk none could be made, and recovery needs those of before. */
const lastWork: Work = 'remove';

/**
 * A state folder that is read-only here may be writable elsewhere: an existing lease file is locked as usual.
 * Without one, all leases are one lock on the folder itself, or nothing is held.
 */
async function tryLock({
  stateDir,
  identity,
  action,
  isShared,
  mayBeFolder = true,
  passesFull = false,
}: LeaseRequest): Promise<FileLock | { readonly heldBy: string } | undefined> {
  const folder = path.join(stateDir, 'leases');
  const file = path.join(folder, createHash('sha256').update(identity).digest('hex').slice(0, 32));
  const owner = JSON.stringify({ pid: process.pid, action, since: new Date().toISOString() });
  try {
    await makeFolders(folder, { mode: 0o700 });
    return await tryLockFile(file, { owner, isShared, isRemoved: action === lastWork });
  } catch (error) {
    const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '');
    if (!isReadOnly(error) && !(isFull && passesFull)) throw error;
    try {
      return await tryLockUnwritten(file, { isShared });
    } catch (missing) {
      if (errnoOf(missing) !== 'ENOENT') throw error;
      return mayBeFolder ? await tryLockUnwritten(stateDir) : undefined;
    }
  }
}

/** True for an error of a read-only file system or of missing write permission. */
export function isReadOnly(error: unknown): boolean {
  return ['EROFS', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '');
}

interface HolderInWords {
  readonly who: string;
  readonly detail: string | undefined;
}

/** A holder that has not written its name yet has none. */
function describeHolder(text: string): HolderInWords {
  const holder = ownerIn(text, readOwner);
  if (holder === undefined) return { who: 'another Holdfast process', detail: undefined };
  const { pid, action, since } = holder;
  return { who: `process ${pid}`, detail: `It began to ${action} it at ${localTime(since)}.` };
}

function readOwner(
  line: string,
): { readonly pid: number; readonly action: string; readonly since: string } | undefined {
  try {
    const owner: unknown = JSON.parse(line);
    if (typeof owner !== 'object' || owner === null) return undefined;
    if (!('pid' in owner) || !('action' in owner) || !('since' in owner)) return undefined;
    return { pid: Number(owner.pid), action: String(owner.action), since: String(owner.since) };
  } catch {
    return undefined;
  }
}
