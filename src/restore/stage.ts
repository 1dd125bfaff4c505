import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { DirectoryHandle } from '../lib/directory-handle.ts';
import { mountsWithin, readMounts } from '../lib/mountinfo.ts';
import { parentOf, nameOf } from '../lib/on-disk.ts';
import { isStillAt, openTrusted, realPathOf } from '../lib/open-trusted.ts';
import { makeOwnDirectory, removeOwnDirectory, replacedDirectory } from '../lib/own-directory.ts';
import { newStageName } from '../lib/stage-names.ts';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import type { JournalMember } from './restore-journal.ts';

export interface StagePlace {
  /** A folder that does not exist yet, on the file system of the directory. */
  readonly stage: ByteString;
  readonly place: 'beside' | 'inside';
}

/**
 * Chooses where a directory's replacement is made; the directory may be absent. Beside it where possible, so
 * that no container sees it; inside it where it is a mount point or its parent is not writable.
 */
export async function chooseStage(root: ByteString, held: HeldRoot, part?: ByteString): Promise<StagePlace> {
  await refuseMountsBelow(root, held, part);
  const place = await choosePlace(held);
  const folder = place === 'inside' ? root : parentOf(root);
  return { stage: `${folder === '/' ? '' : folder}/${newStageName()}`, place };
}

/** True where the old data can be kept: beside, on the same file system, where no container sees it. */
export async function canKeepBeside(root: ByteString): Promise<boolean> {
  using held = holdRoot(root);
  return (await choosePlace(held)) === 'beside';
}

async function choosePlace({ above, live, realPath }: HeldRoot): Promise<'beside' | 'inside'> {
  if (above === undefined) return 'inside';
  if (live === undefined) return 'beside';
  if (live.stat().dev !== above.stat().dev) return 'inside';
  if ((await readMounts()).some((mount) => mount.path === realPath)) return 'inside';
  return await access(toPath(above.at('.')), constants.W_OK).then(
    () => 'beside' as const,
    () => 'inside' as const,
  );
}

/**
 * A mount below the directory would move along with the old data and be deleted with it. Where only a part is
 * replaced, mounts elsewhere in the directory stay.
 */
export async function refuseMountsBelow(
  root: ByteString,
  { realPath }: Pick<HeldRoot, 'realPath'>,
  part?: ByteString,
): Promise<void> {
  if (realPath === undefined) return;
  const moved = part === undefined ? realPath : `${realPath === '/' ? '' : realPath}/${part}`;
  const below = mountsWithin(await readMounts(), moved).find(
    (mount) => part !== undefined || mount.path !== realPath,
  );
  if (below === undefined) return;
  throw new AppError(
    'in-use',
    `Cannot replace "${toPrintable(root)}": something is mounted in it, at "${toPrintable(below.path)}"`,
    {
      hint: `Unmount it first: umount "${toPrintable(below.path)}".`,
    },
  );
}

/**
 * A member whose folders are held open: the user who owns the parent folder can exchange names at any moment,
 * and our writes must not land there.
 */
export interface HeldMember extends Disposable {
  /** As written down, for people and for the next process. */
  readonly member: JournalMember;
  /** The same for the work: `root` and `stage` start at held descriptors. */
  readonly held: JournalMember;
  readonly stage: DirectoryHandle;
  /** The directory at the root; undefined for none. */
  readonly live: DirectoryHandle | undefined;
  /** Throws `conflict` when the root's path now leads somewhere else. */
  refuseMoved(): void;
  /** Removes the stage and its contents. What now has its name stays, unless it is an empty directory. */
  remove(): Promise<void>;
}

/** The folder that contains a root, and the directory at the root. */
export interface HeldRoot extends Disposable {
  /** Undefined for a root that its host holds open, and for "/": there is no folder above it. */
  readonly above: DirectoryHandle | undefined;
  readonly live: DirectoryHandle | undefined;
  /** The real path, without links. Undefined where nothing is there. */
  readonly realPath: ByteString | undefined;
}

/** A root that an engine has mounted for itself is reached through a descriptor. */
function isHeldByHost(root: ByteString): boolean {
  return root.startsWith('/proc/self/fd/');
}

function hasNothingAbove(root: ByteString): boolean {
  return isHeldByHost(root) || root === '/';
}

/** Throws `conflict` for anything but a directory, unless `orNothing` counts that as nothing. */
export function holdRoot(root: ByteString, { orNothing = false } = {}): HeldRoot {
  using opened = new DisposableStack();
  const above = hasNothingAbove(root) ? undefined : opened.use(openTrusted(parentOf(root)));
  const live = above === undefined ? openTrusted(root) : openLive(above, root, orNothing);
  if (live !== undefined) opened.use(live);
  const realPath = live && realPathOf(live);
  const closed = opened.move();
  return { above, live, realPath, [Symbol.dispose]: () => closed[Symbol.dispose]() };
}

function openLive(above: DirectoryHandle, root: ByteString, orNothing: boolean): DirectoryHandle | undefined {
  try {
    return above.openChild(nameOf(root));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return undefined;
    if (errno !== 'ENOTDIR' && errno !== 'ELOOP') throw error;
    if (orNothing) return undefined;
    throw new AppError('conflict', `"${toPrintable(root)}" is no directory`);
  }
}

/** Makes the stage of a new member, and holds it open. */
export function makeStage(member: JournalMember): HeldMember {
  return hold(member, makeOwnDirectory);
}

/** Opens an existing stage if it is the one that was made. Undefined when there is none. */
export function holdStage(member: JournalMember): HeldMember | undefined {
  try {
    return hold(member, (folder, name) => {
      const stage = folder.openChild(name);
      if (member.stageInode === undefined || member.stageInode === String(stage.stat().ino)) return stage;
      stage[Symbol.dispose]();
      throw replacedDirectory(member.stage);
    });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return undefined;
    throw errno === 'ENOTDIR' || errno === 'ELOOP' ? replacedDirectory(member.stage) : error;
  }
}

function hold(
  member: JournalMember,
  open: (folder: DirectoryHandle, name: ByteString) => DirectoryHandle,
): HeldMember {
  using opened = new DisposableStack();
  const root = opened.use(holdRoot(member.root, { orNothing: true }));
  const folder = folderOfStage(member, root, opened);
  const stage = opened.use(open(folder, nameOf(member.stage)));
  const closed = opened.move();
  const { above, live } = root;
  const withStage = { ...member, stageInode: String(stage.stat().ino) };
  return {
    member: withStage,
    held: {
      ...withStage,
      stage: stage.self,
      // Replacing exchanges the name as a whole; otherwise the root is entered, which must not follow a link.
      root:
        member.place === 'beside' && above !== undefined ? above.at(nameOf(member.root)) : (live?.self ?? ''),
      before: live === undefined ? '' : String(live.stat().ino),
    },
    stage,
    live,
    refuseMoved() {
      const isThere =
        above === undefined ||
        (isStillAt(above, parentOf(member.root)) &&
          (member.place === 'beside' || live === undefined || isStillAt(live, member.root)));
      if (!isThere) throw movedMeanwhile(member.root);
    },
    remove: () => removeOwnDirectory(folder, { name: nameOf(member.stage), made: stage }),
    [Symbol.dispose]: () => closed[Symbol.dispose](),
  };
}

function folderOfStage(
  { root, stage }: JournalMember,
  held: HeldRoot,
  opened: DisposableStack,
): DirectoryHandle {
  const path = parentOf(stage);
  if (held.above !== undefined && path === parentOf(root)) return held.above;
  if (held.live !== undefined && path === root) return held.live;
  return opened.use(openTrusted(path));
}

function movedMeanwhile(root: ByteString): AppError {
  return new AppError('conflict', `"${toPrintable(root)}" was moved or replaced while it was restored`, {
    hint: 'Find out what does that, and restore again.',
  });
}
