import { constants, mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { type DirectoryHandle } from '../lib/directory-handle.ts';
import { isStillAt, openTrusted } from '../lib/open-trusted.ts';
import { closeQuickly, openAt, removeDirectoryAt, statOpen, unlinkAt } from '../lib/posix-at.ts';
import { emptyDirectory } from '../lib/remove-tree.ts';
import { type ByteString, fromBytes, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { nameOf, parentOf } from './on-disk.ts';
import type { JournalMember } from './restore-journal.ts';
import { newStageName } from './stage-path.ts';

/**
 * A member whose folders are held open: the user who owns the folder that they are in can give their names to other
 * things at any moment, and what is done must not land there.
 */
export interface HeldMember extends Disposable {
  /** As it is written down, for people and for the next process. */
  readonly member: JournalMember;
  /** The same for the work: `root` and `stage` lead from what is held open. */
  readonly held: JournalMember;
  readonly stage: DirectoryHandle;
  /** The directory that is at the root; undefined for none. */
  readonly live: DirectoryHandle | undefined;
  /** Throws `conflict` when the root's path leads somewhere else by now. */
  refuseMoved(): void;
  /** Removes the stage with all that is in it. What has its name by now stays, unless that is an empty directory. */
  remove(): Promise<void>;
}

/** The folder that a root is in, and what is there. */
export interface HeldRoot extends Disposable {
  /** Undefined for a root that is held open by its host, which has no folder above it. */
  readonly above: DirectoryHandle | undefined;
  readonly live: DirectoryHandle | undefined;
  /** Where it really is: no link is on the way. Undefined where nothing is. */
  readonly realPath: ByteString | undefined;
}

/** A root that an engine has mounted for itself is reached through a descriptor. */
function isHeldByHost(root: ByteString): boolean {
  return root.startsWith('/proc/self/fd/');
}

/** Throws `conflict` when there is something else than a directory, unless that is as good as nothing. */
export function holdRoot(root: ByteString, { orNothing = false } = {}): HeldRoot {
  using opened = new DisposableStack();
  const above = isHeldByHost(root) ? undefined : opened.use(openTrusted(parentOf(root)));
  const live = above === undefined ? openTrusted(root) : openLive(above, root, orNothing);
  if (live !== undefined) opened.use(live);
  const realPath = live && fromBytes(readlinkSync(live.self, { encoding: 'buffer' }));
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

/** Makes the stage of a new member, and holds on to it. */
export function makeStage(member: JournalMember): HeldMember {
  return hold(member, (folder, name) => {
    mkdirSync(toPath(folder.at(name)), { mode: 0o700 });
    const stage = folder.openChild(name);
    if (isOwn(stage, folder)) return stage;
    stage[Symbol.dispose]();
    throw replaced(member.stage);
  });
}

/** Holds on to a stage that is there, when it is the one that was made. Undefined when there is none any more. */
export function holdStage(member: JournalMember): HeldMember | undefined {
  try {
    return hold(member, (folder, name) => {
      const stage = folder.openChild(name);
      if (member.stageInode === undefined || member.stageInode === String(stage.stat().ino)) return stage;
      stage[Symbol.dispose]();
      throw replaced(member.stage);
    });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return undefined;
    throw errno === 'ENOTDIR' || errno === 'ELOOP' ? replaced(member.stage) : error;
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
      // What has the name is replaced as a whole. Else it is gone into, which must not go through a link.
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
      if (!isThere) throw moved(member.root);
    },
    async remove() {
      await emptyDirectory(stage);
      try {
        removeDirectoryAt(folder.fd, nameOf(member.stage));
      } catch (error) {
        // Its name was given to something else, which is not ours.
        if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? ''))
          throw error;
      }
    },
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

/**
 * True when a new directory is the one that this process has made: another user can put one of their own in its place,
 * and whatever is made in that would be theirs to change.
 */
function isOwn(made: DirectoryHandle, folder: DirectoryHandle): boolean {
  const [stat, above] = [made.stat(), folder.stat()];
  if (stat.dev !== above.dev || readdirSync(toPath(made.at('.'))).length > 0) return false;
  return stat.uid === BigInt(process.geteuid?.() ?? 0) || stat.uid === ownerOfNew(folder);
}

/** Whose new files are in a folder: a file system may give them to another user than the one that makes them. */
function ownerOfNew(folder: DirectoryHandle): bigint {
  const name = newStageName();
  const fd = openAt(folder.fd, name, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  try {
    unlinkAt(folder.fd, name);
    return statOpen(fd).uid;
  } finally {
    closeQuickly(fd);
  }
}

function replaced(stage: ByteString): AppError {
  return new AppError(
    'conflict',
    `"${toPrintable(stage)}" is not what was made there: another program has put something else in its place`,
    { hint: 'Find out which user can write to the folder that it is in.' },
  );
}

function moved(root: ByteString): AppError {
  return new AppError('conflict', `"${toPrintable(root)}" was moved or replaced while it was restored`, {
    hint: 'Find out what does that, and restore again.',
  });
}
