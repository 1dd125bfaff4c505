import { constants, fchmodSync, fchownSync, mkdirSync, readdirSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { DirectoryHandle } from '../lib/directory-handle.ts';
import { closeQuickly, openAt } from '../lib/posix-at.ts';
import { listXattrs, removeXattr, setTimes, setXattr } from '../lib/posix.ts';
import { type ByteString, toPath } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import type { JournalMember } from './restore-journal.ts';
import { isStagePath } from '../lib/stage-names.ts';
import { exists, syncFilesystemOf, syncFolder } from '../lib/on-disk.ts';

/** Swaps the contents of a directory, name by name, as a mount point needs. */

/** Which names go and which come; remembers the metadata of the directory itself. */
export async function prepareInside(member: JournalMember): Promise<JournalMember> {
  using places = openPlaces(member);
  const { root, stage } = places;
  for (const name of ['old', 'root-before', 'root-after']) makeFolder(stage, name);
  using fresh = stage.openChild('new');
  using before = stage.openChild('root-before');
  using after = stage.openChild('root-after');
  copyOwnMetadata(root, before);
  copyOwnMetadata(fresh, after);
  await syncFilesystemOf(stage.self);
  return { ...member, oldNames: topNames(root), newNames: topNames(fresh) };
}

function makeFolder(stage: DirectoryHandle, name: ByteString): void {
  try {
    mkdirSync(toPath(stage.at(name)), { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

export async function isInsideSwapped({ stage }: JournalMember): Promise<boolean> {
  return await exists(`${stage}/done`);
}

export async function swapInside(member: JournalMember): Promise<void> {
  const { oldNames, newNames } = member;
  using places = openPlaces(member);
  const { root, stage } = places;
  using old = openIfThere(stage, 'old');
  // The swap was finished, and the old data is being deleted: an old name in the root is now new data.
  if (old === undefined) return;
  using fresh = stage.openChild('new');
  for (const name of oldNames) {
    // When it is in `old` already, the entry of that name in the root is new.
    if (await exists(old.at(checkedName(name)))) continue;
    if (await exists(root.at(name))) await rename(toPath(root.at(name)), toPath(old.at(name)));
  }
  for (const name of newNames) {
    if (await exists(fresh.at(checkedName(name))))
      await rename(toPath(fresh.at(name)), toPath(root.at(name)));
  }
  using after = stage.openChild('root-after');
  copyOwnMetadata(after, root);
  await syncFilesystemOf(root.self);
  await rename(toPath(stage.at('old')), toPath(stage.at('done')));
  await syncFolder(stage.self);
}

export async function takeBackInside(member: JournalMember): Promise<void> {
  const { oldNames, newNames } = member;
  using places = openPlaces(member);
  const { root, stage } = places;
  if (await exists(stage.at('done'))) await rename(toPath(stage.at('done')), toPath(stage.at('old')));
  using old = openIfThere(stage, 'old');
  if (old === undefined) return;
  using fresh = stage.openChild('new');
  for (const name of newNames) {
    if (await exists(fresh.at(checkedName(name)))) continue;
    // For a name that both have, the entry in the root is the old one unless that is in `old`.
    if (oldNames.includes(name) && !(await exists(old.at(name)))) continue;
    if (await exists(root.at(name))) await rename(toPath(root.at(name)), toPath(fresh.at(name)));
  }
  for (const name of oldNames) {
    if (await exists(old.at(checkedName(name)))) await rename(toPath(old.at(name)), toPath(root.at(name)));
  }
  using before = stage.openChild('root-before');
  copyOwnMetadata(before, root);
  await syncFilesystemOf(root.self);
}

interface Places extends Disposable {
  readonly root: DirectoryHandle;
  readonly stage: DirectoryHandle;
}

/** A container can put a link in the place of any entry here, so each folder is held open. */
function openPlaces({ root, stage }: JournalMember): Places {
  using opened = new DisposableStack();
  const places = {
    root: opened.use(DirectoryHandle.open(root)),
    stage: opened.use(DirectoryHandle.open(stage)),
  };
  const closed = opened.move();
  return { ...places, [Symbol.dispose]: () => closed[Symbol.dispose]() };
}

function openIfThere(stage: DirectoryHandle, name: ByteString): DirectoryHandle | undefined {
  try {
    return stage.openChild(name);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

/** The top-level names of a directory, without our own folder and the one that ext4 keeps at its root. */
function topNames(root: DirectoryHandle): ByteString[] {
  const names = readdirSync(toPath(root.at('.')), { encoding: 'latin1' });
  return names.filter((name) => !isStagePath(name) && name !== 'lost+found').sort();
}

function checkedName(name: ByteString): ByteString {
  if (name !== '' && name !== '.' && name !== '..' && !name.includes('/')) return name;
  throw new AppError('integrity', 'The journal of a restore names something outside of its volume');
}

/** Copies mode, owner, attributes and times of a directory, without its contents. */
export function copyOwnMetadata(from: DirectoryHandle, to: DirectoryHandle): void {
  const stat = from.stat();
  const wanted = listXattrs(from.at('.'));
  for (const { name } of listXattrs(to.at('.'))) {
    if (!wanted.some((attribute) => attribute.name === name) && !name.startsWith('security.'))
      removeXattr(to.at('.'), name);
  }
  const fd = openAt(to.fd, '.', constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fchownSync(fd, Number(stat.uid), Number(stat.gid));
    for (const attribute of wanted) setXattr(fd, attribute);
    fchmodSync(fd, Number(stat.mode) & 0o7777);
    setTimes(fd, stat.mtimeNs);
  } finally {
    closeQuickly(fd);
  }
}
