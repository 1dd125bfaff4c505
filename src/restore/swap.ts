import { lstat, rename } from 'node:fs/promises';
import { exchange } from '../lib/exchange.ts';
import { setTimes } from '../lib/posix.ts';
import { type ByteString, toPath } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { exists, inodeOf, nameOf, parentOf, syncFilesystemOf, syncFolder } from '../lib/on-disk.ts';
import type { JournalMember } from './restore-journal.ts';
import { isInsideSwapped, prepareInside, swapInside, takeBackInside } from './swap-inside.ts';
import { isPartSwapped, preparePart, swapPart, takeBackPart, takenByOther } from './swap-part.ts';

/**
 * The swap of one member. `prepareSwap` finds out what is to happen; that is written down; then `swapIn` and
 * `swapOut` bring the new or the old data to its place from any state that a kill leaves. Both may be
 * repeated.
 */

/** Makes the new data, which is complete, durable, and finds out what a swap has to know. Moves nothing. */
export async function prepareSwap(member: JournalMember): Promise<JournalMember> {
  await syncFilesystemOf(member.stage);
  const fresh = await inodeOf(`${member.stage}/new`);
  if (fresh === undefined) throw new AppError('conflict', 'What was made ready is not there any more');
  if (member.place === 'inside') return await prepareInside({ ...member, fresh });
  if (member.place === 'part') return preparePart({ ...member, fresh });
  return { ...member, fresh };
}

/** True when all of the new data is in its place. */
export async function isSwappedIn(member: JournalMember): Promise<boolean> {
  if (member.fresh === undefined) return false;
  if (member.place === 'inside') return await isInsideSwapped(member);
  if (member.place === 'part') return isPartSwapped(member);
  return (await inodeOf(member.root)) === member.fresh;
}

/** Puts the new data in its place. Afterwards the old is at `new` in the stage (for `inside`, at `done`). */
export async function swapIn(member: JournalMember): Promise<void> {
  if (member.place === 'inside') return await swapInside(member);
  if (member.place === 'part') return await swapPart(member);
  await swapBeside(member);
}

/** Puts the old data back, and the new at `new` in the stage. Does nothing where nothing was swapped. */
export async function swapOut(member: JournalMember): Promise<void> {
  if (member.fresh === undefined) return;
  if (member.place === 'inside') return await takeBackInside(member);
  if (member.place === 'part') return await takeBackPart(member);
  await takeBackBeside(member);
}

async function swapBeside({ root, stage, fresh, before }: JournalMember): Promise<void> {
  const comes = `${stage}/new`;
  const now = await inodeOf(root);
  if (now !== fresh) {
    refuseOther(root, { now, before });
    if (now === undefined) await moveWithTime(comes, root);
    else await changePlaces(comes, { root, aside: `${stage}/old` });
    await tidy(`${stage}/old`, comes);
    // Another program may have given the name to something else in between.
    if (now !== undefined && (await inodeOf(comes)) !== now) {
      await changePlaces(comes, { root, aside: `${stage}/given-back` });
      throw takenByOther(nameOf(root));
    }
  }
  await tidy(`${stage}/old`, comes);
  await syncFolder(stage);
  await syncFolder(parentOf(root));
}

/** Refuses to replace anything but the data that was looked at. */
function refuseOther(
  root: ByteString,
  { now, before }: { readonly now: string | undefined; readonly before: string | undefined },
): void {
  if (before !== undefined && (now ?? '') !== before) throw takenByOther(nameOf(root));
}

async function takeBackBeside({ root, stage, fresh }: JournalMember): Promise<void> {
  const [inPlace, aside, given] = [await inodeOf(root), `${stage}/old`, `${stage}/given-back`];
  if (inPlace === undefined && (await exists(aside))) await moveWithTime(aside, root);
  else if (inPlace === undefined && (await exists(given))) await moveWithTime(`${stage}/new`, root);
  else if (inPlace === fresh) await giveBack({ root, stage });
  else await refuseLost({ root, stage, fresh });
  await tidy(given, `${stage}/new`);
  await syncFolder(stage);
  await syncFolder(parentOf(root));
}

/** The old data is in the stage, and another program moved the restored data away: neither may be removed. */
async function refuseLost({
  root,
  stage,
  fresh,
}: Pick<JournalMember, 'root' | 'stage' | 'fresh'>): Promise<void> {
  const kept = await inodeOf(`${stage}/new`);
  if ((kept !== undefined && kept !== fresh) || (await exists(`${stage}/old`)))
    throw takenByOther(nameOf(root));
}

async function giveBack({ root, stage }: { root: ByteString; stage: ByteString }): Promise<void> {
  const kept = `${stage}/new`;
  await tidy(`${stage}/old`, kept);
  // Nothing was there before.
  if (!(await exists(kept))) return await moveWithTime(root, kept);
  await changePlaces(kept, { root, aside: `${stage}/given-back` });
}

/** XFS counts a move to another folder as a change of the directory itself. */
async function moveWithTime(from: ByteString, to: ByteString): Promise<void> {
  const mtimeNs = await timeOf(from);
  await rename(toPath(from), toPath(to));
  setTimes(to, mtimeNs);
}

async function timeOf(path: ByteString): Promise<bigint> {
  return (await lstat(toPath(path), { bigint: true })).mtimeNs;
}

/** In one step where possible; otherwise the old data is moved aside first, and has to be tidied up. */
async function changePlaces(
  comes: ByteString,
  { root, aside }: { root: ByteString; aside: ByteString },
): Promise<void> {
  const [coming, going] = [await timeOf(comes), await timeOf(root)];
  if (exchanged(comes, root)) {
    setTimes(root, coming);
    setTimes(comes, going);
    return;
  }
  await moveWithTime(root, aside);
  try {
    await moveWithTime(comes, root);
  } catch (error) {
    await moveWithTime(aside, root);
    throw error;
  }
}

function exchanged(first: ByteString, second: ByteString): boolean {
  try {
    exchange(first, second);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EINVAL' || errno === 'ENOSYS' || errno === 'EOPNOTSUPP') return false;
    throw error;
  }
}

async function tidy(aside: ByteString, place: ByteString): Promise<void> {
  if ((await exists(aside)) && !(await exists(place))) await rename(toPath(aside), toPath(place));
}
