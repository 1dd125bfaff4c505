import { chmodSync, constants, mkdirSync, readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { knownError } from '../../lib/known-error.ts';
import { type MountPoint, readMounts } from '../../lib/mountinfo.ts';
import { openTrusted } from '../../lib/open-trusted.ts';
import { nameOf, parentOf } from '../../lib/on-disk.ts';
import {
  changeOwner,
  closeQuickly,
  type FileStat,
  mountOf,
  openAt,
  openFlag,
  reopen,
  statOpen,
} from '../../lib/posix-at.ts';
import { listXattrs, setXattr } from '../../lib/posix.ts';
import { runProgram } from '../../lib/run-program.ts';
import { type ByteString, fromBytes, fromText, toPath } from '../../model/byte-string.ts';
import { AppError, errnoOf, type ErrorCode } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { aclAttribute, aclIn, letIn, ownRights, right, rightsBehindMask } from './access.ts';
import { mountsBelow } from './refused-below.ts';
import type { DoctorFinding, Fix, Identity } from './diagnosis.ts';
import { groupsOfUser } from './user-groups.ts';

/** What a fix did. */
export interface AppliedFix {
  readonly changed: number;
  /** Files that have further names, which may lie where this user has no business. */
  readonly left: number;
}

export interface FixOutcome {
  readonly finding: DoctorFinding;
  /** Undefined when it failed. */
  readonly applied: AppliedFix | undefined;
  readonly error: { readonly code: ErrorCode; readonly message: string } | undefined;
}

/** Carries out the fixes of findings, each by itself. */
export async function applyFixes(
  findings: readonly DoctorFinding[],
  signal: AbortSignal | undefined,
): Promise<FixOutcome[]> {
  const outcomes: FixOutcome[] = [];
  for (const finding of findings)
    if (finding.fix !== undefined) outcomes.push(await tryFix({ ...finding, fix: finding.fix }, signal));
  return outcomes;
}

async function tryFix(
  finding: DoctorFinding & { readonly fix: NonNullable<DoctorFinding['fix']> },
  signal: AbortSignal | undefined,
): Promise<FixOutcome> {
  try {
    return { finding, applied: await applyFix(finding.fix, signal), error: undefined };
  } catch (error) {
    const { code, message } = knownError(error);
    if (code === 'cancelled') throw error;
    return { finding, applied: undefined, error: { code, message } };
  }
}

/**
 * Carries out a fix. Goes to a path name by name through held folders: a link that a container, or another
 * user, has planted is never followed, and no other mount is entered.
 */
export async function applyFix(fix: Fix, signal: AbortSignal | undefined): Promise<AppliedFix> {
  switch (fix.kind) {
    case 'owner':
      return walk(fix, { mounts: await readMounts(), signal }, (held, done) => giveAway(held, fix, done));
    case 'acl': {
      const groups = groupsOfUser(fix.who.uid);
      return walk(fix, { mounts: await readMounts(), signal }, (held, done) =>
        letInto(held, { ...fix, groups }, done),
      );
    }
    case 'mode':
      return addToMode(fix);
    case 'folder':
      return makeFolder(fix);
    case 'program':
      return await runFix(fix.command, signal);
  }
}

interface Done {
  changed: number;
  left: number;
}

/** So many files are gone through before a signal is looked for. */
const atOnce = 256;

/** Changes all below a place, and then the place itself: by that, what ended before its time is found again. */
async function walk(
  place: { readonly path: string; readonly identity: Identity },
  { mounts, signal }: { readonly mounts: readonly MountPoint[]; readonly signal: AbortSignal | undefined },
  change: (held: Held, done: Done) => void,
): Promise<AppliedFix> {
  using held = openPlace(place);
  const done = { changed: 0, left: 0 };
  let count = 0;
  if (statOpen(held.fd).isDirectory())
    for (const entry of entriesBelow(held, mounts)) {
      if (++count % atOnce === 0) await setImmediate();
      if (signal?.aborted === true)
        throw new AppError('cancelled', `Cancelled while changing ${quote(place.path)}`);
      change(entry, done);
    }
  change(held, done);
  return done;
}

/** All on the same mount, each folder before what is in it. Each is open until the next one is asked for. */
function* entriesBelow({ fd }: Held, mounts: readonly MountPoint[]): Generator<Held, void> {
  const mount = mountOf(fd);
  using top = DirectoryHandle.open(`/proc/self/fd/${fd}`);
  // One that hangs must not even be looked at.
  const others = mountsBelow(top, mounts);
  const queue: ByteString[][] = [[]];
  for (let names = queue.shift(); names !== undefined; names = queue.shift()) {
    using folder = unlessGone(() => top.openBelow(names));
    if (folder === undefined) continue;
    for (const name of unlessGone(() => namesIn(folder)) ?? []) {
      if (others.has([...names, name].join('/'))) continue;
      using entry = unlessGone(() => openEntry(folder, name));
      if (entry === undefined || mountOf(entry.fd) !== mount) continue;
      yield entry;
      if (statOpen(entry.fd).isDirectory()) queue.push([...names, name]);
    }
  }
}

function namesIn(folder: DirectoryHandle): ByteString[] {
  return readdirSync(toPath(folder.at('.')), { encoding: 'buffer' }).map(fromBytes);
}

/** Applications go on meanwhile: what is gone, or is a link or a file in the place of a folder, is left out. */
function unlessGone<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

interface Held extends Disposable {
  readonly fd: number;
}

function giveAway({ fd }: Held, { path, from, uid, gid }: Extract<Fix, { kind: 'owner' }>, done: Done): void {
  const stat = statOpen(fd);
  if (Number(stat.uid) !== from) return;
  if (hasMoreNames(stat)) done.left++;
  else {
    changeOwner(fd, { uid, gid });
    // CIFS takes such a change, and does nothing.
    if (Number(statOpen(fd).uid) !== uid)
      throw new AppError(
        'unsupported',
        `The file system of ${quote(path)} gives its files owners of its own`,
      );
    done.changed++;
  }
}

function letInto(
  { fd }: Held,
  {
    path,
    who,
    rights,
    isMask,
    groups,
  }: Extract<Fix, { kind: 'acl' }> & { readonly groups: ReadonlySet<number> },
  done: Done,
): void {
  const stat = statOpen(fd);
  // Others have no data; an owner is judged by the mode.
  if (!(stat.isFile() || stat.isDirectory()) || Number(stat.uid) === who.uid) return;
  const open = reopen(fd, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const [uid, gid, mode] = [Number(stat.uid), Number(stat.gid), Number(stat.mode) & 0o7777];
    const guard = { uid, gid, mode, isDirectory: stat.isDirectory(), acl: aclIn(listXattrs(open)) };
    const isEntered = guard.isDirectory || (guard.mode & 0o111) !== 0;
    const most = isEntered ? rights | right.enter : rights;
    const wanted = isMask ? most & rightsBehindMask(who, guard) : most;
    if ((wanted & ~ownRights(who, guard)) === 0) return;
    if (hasMoreNames(stat)) done.left++;
    else {
      // An entry for the user counts in place of those for groups, in which other processes of the user are.
      const kept = [...groups].map((group) => ownRights({ uid: who.uid, gid: group, groups: [] }, guard));
      setXattr(open, aclAttribute(letIn(who, guard, wanted | kept.reduce((sum, one) => sum | one, 0))));
      done.changed++;
    }
  } catch (error) {
    if (errnoOf(error) !== 'EOPNOTSUPP') throw error;
    throw new AppError('unsupported', `The file system of ${quote(path)} keeps no ACLs`);
  } finally {
    closeQuickly(open);
  }
}

function hasMoreNames(stat: FileStat): boolean {
  return !stat.isDirectory() && stat.nlink > 1n;
}

function addToMode(fix: Extract<Fix, { kind: 'mode' }>): AppliedFix {
  const { add } = fix;
  using held = openPlace(fix);
  const stat = statOpen(held.fd);
  if (hasMoreNames(stat)) return { changed: 0, left: 1 };
  chmodSync(`/proc/self/fd/${held.fd}`, (Number(stat.mode) & 0o7777) | add);
  return { changed: 1, left: 0 };
}

function makeFolder({ path, uid, gid }: Extract<Fix, { kind: 'folder' }>): AppliedFix {
  const place = fromText(path);
  using above = openOrMake(parentOf(place));
  try {
    mkdirSync(toPath(above.at(nameOf(place))), 0o755);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    throw new AppError('conflict', `${quote(path)} has come since it was looked at, and is left as it is`);
  }
  using folder = above.openChild(nameOf(place));
  changeOwner(folder.fd, { uid, gid });
  return { changed: 1, left: 0 };
}

function openOrMake(place: ByteString): DirectoryHandle {
  try {
    return openTrusted(place);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  using above = openOrMake(parentOf(place));
  mkdirSync(toPath(above.at(nameOf(place))), 0o755);
  return above.openChild(nameOf(place));
}

async function runFix(
  [program = '', ...args]: readonly string[],
  signal: AbortSignal | undefined,
): Promise<AppliedFix> {
  const { status, stderr } = await runProgram(program, args, { signal });
  if (status !== 0)
    throw new AppError('failed', `${quote([program, ...args].join(' '))} failed`, { detail: stderr });
  return { changed: 1, left: 0 };
}

/** The last name is not followed either, and has to be what was looked at. */
function openPlace({ path, identity }: { readonly path: string; readonly identity: Identity }): Held {
  const place = fromText(path);
  using folder = openTrusted(parentOf(place));
  const held = openEntry(folder, nameOf(place) || '.');
  const { dev, ino } = statOpen(held.fd);
  if (dev === identity.device && ino === identity.inode) return held;
  held[Symbol.dispose]();
  throw new AppError('conflict', `${quote(path)} was replaced since it was looked at`);
}

function openEntry(folder: DirectoryHandle, name: ByteString): Held {
  const fd = openAt(folder.fd, name, openFlag.path | constants.O_NOFOLLOW);
  return { fd, [Symbol.dispose]: () => closeQuickly(fd) };
}
