import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { keptSince } from '../lib/kept-since.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { isReadOnly } from './lease.ts';
import { quote } from '../model/quote.ts';
import type { AppStep } from './quiesce/plan-still.ts';
import { type JournalMember, type RestoreJournal, removeJournal, writeJournal } from './restore-journal.ts';
import { chooseStage, refuseMountsBelow } from './stage.ts';
import { exists, inodeOf, parentOf, syncFolder } from './on-disk.ts';
import { prepareSwap, swapIn, swapOut } from './swap.ts';
import { dropUndo, forgetUndo, listUndoRecords, undoIdOf, writeUndoRecord } from './undo-records.ts';

/** A place whose data is to be replaced. */
export interface MemberWish extends Pick<JournalMember, 'kind' | 'name' | 'identity' | 'root'> {
  /** Only this thing below the root. */
  readonly part?: ByteString | undefined;
  readonly isCreated?: boolean | undefined;
  readonly keepUntil?: string | undefined;
  /** A stage that is there already, with what is to come in it. */
  readonly keptStage?: ByteString | undefined;
}

export interface ReplacementWish extends Pick<RestoreJournal, 'action' | 'hostIdentity' | 'snapshotIds'> {
  readonly stateDir: string;
  readonly members: readonly MemberWish[];
  /** Remarks for people. */
  readonly onNote?: ((message: string) => void) | undefined;
}

/**
 * Data that takes the place of other data, in one or more places at once: all of it or nothing. What it does is in a
 * journal before it does it; `settle.ts` goes on from there after a kill:
 *
 * 1. `staging`: stages are made and filled. A kill: they are removed.
 * 2. `swapping`: everything new is complete and durable, the containers are stopped. A kill: when all of it has changed
 *    places it stays so, else all of it goes back.
 * 3. `back`: an error, or containers that do not come up. A kill: goes on going back, and starts what ran before. With
 *    the old data at its place it is `staging` again, and what ran before is still written in it.
 * 4. `committed`: what was there before is kept or removed, last of all the journal. A kill: goes on with that.
 *
 * Disposed before `commit`, everything is as it was, unless going back itself has failed: then the journal stays.
 *
 * Where the disk of the journal is full, directories of which nothing is replaced are filled without one: what is saved
 * can be had on another disk. All that a kill can leave then is a stage, and that is told before.
 */
export interface Replacement extends AsyncDisposable {
  readonly id: string;
  /** True from the moment at which live data may have been touched until it is decided. */
  readonly isSwapping: boolean;
  /** Where the new data of each member goes, in their order; does not exist yet. */
  readonly newPaths: readonly ByteString[];
  /** Everything new is at its place. `levels` is what ran before. */
  swap(levels: readonly (readonly AppStep[])[]): Promise<void>;
  /** Says that it is given up, and that what ran before has to run again. The old data comes back with `takeBack`. */
  giveUp(): Promise<void>;
  /** The old data is at its place again. */
  takeBack(): Promise<void>;
  /** Left as it is, to whoever settles it: disposing does nothing any more. */
  leave(): void;
  /** The new data stays. What was there before is kept where that was wished, and removed elsewhere. */
  commit(now: Date): Promise<void>;
}

export async function openReplacement(wish: ReplacementWish): Promise<Replacement> {
  const { stateDir, action, hostIdentity, snapshotIds } = wish;
  const members: JournalMember[] = [];
  for (const member of wish.members) members.push(await chooseMember(member));
  const id = randomBytes(8).toString('hex');
  const journal: RestoreJournal = {
    id,
    action,
    hostIdentity,
    snapshotIds,
    step: 'staging',
    levels: [],
    members,
  };
  const isWritten = await tryToWrite(wish, journal);
  try {
    for (const { stage, isKept } of members) if (!isKept) await mkdir(toPath(stage), { mode: 0o700 });
  } catch (error) {
    await dropAll(stateDir, journal);
    throw error;
  }
  return new OpenReplacement(stateDir, { journal, isWritten });
}

/** False where there is no room for it, and where it can be done without. */
async function tryToWrite({ stateDir, onNote }: ReplacementWish, journal: RestoreJournal): Promise<boolean> {
  try {
    await writeJournal(stateDir, journal);
    return true;
  } catch (error) {
    if (!isWithoutRoom(error) && !isReadOnly(error)) throw error;
    for (const member of journal.members) if (!(await replacesNothing(member))) throw error;
    const stages = journal.members.map(({ stage }) => quote(toPrintable(stage))).join(', ');
    onNote?.(
      `The ${isReadOnly(error) ? 'state folder cannot be written to' : 'disk of the state folder is full'}, so it is not written down what is done. If this is killed, ${stages} may be left behind, to be removed by hand.`,
    );
    return false;
  }
}

function isWithoutRoom(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '');
}

async function replacesNothing({ kind, place, root, isKept }: JournalMember): Promise<boolean> {
  if (kind !== 'path' || place !== 'beside' || isKept) return false;
  return !(await exists(root)) || (await readdir(toPath(root))).length === 0;
}

async function chooseMember(wish: MemberWish): Promise<JournalMember> {
  const { kind, name, identity, root, part, keptStage, keepUntil } = wish;
  const { stage, place } =
    keptStage === undefined ? await chooseStage(root) : { stage: keptStage, place: 'beside' as const };
  return {
    kind,
    name,
    identity,
    root,
    stage,
    place: part === undefined ? place : 'part',
    part,
    isKept: keptStage !== undefined,
    isCreated: wish.isCreated ?? false,
    keepUntil,
    oldNames: [],
    newNames: [],
  };
}

class OpenReplacement implements Replacement {
  readonly id: string;
  readonly newPaths: readonly ByteString[];
  readonly #stateDir: string;
  #journal: RestoreJournal;
  readonly #isWritten: boolean;
  /** What a dispose has to do. */
  #left: 'drop' | 'take back' | 'nothing' = 'drop';

  constructor(
    stateDir: string,
    { journal, isWritten }: { readonly journal: RestoreJournal; readonly isWritten: boolean },
  ) {
    this.#stateDir = stateDir;
    this.#isWritten = isWritten;
    this.#journal = journal;
    this.id = journal.id;
    this.newPaths = journal.members.map(({ stage }) => `${stage}/new`);
  }

  get isSwapping(): boolean {
    return this.#left === 'take back';
  }

  async swap(levels: readonly (readonly AppStep[])[]): Promise<void> {
    for (const { root } of this.#journal.members) await refuseMountsBelow(root);
    const members: JournalMember[] = [];
    for (const member of this.#journal.members) members.push(await prepareSwap(member));
    this.#left = 'take back';
    await this.#write({ step: 'swapping', levels, members });
    for (const member of members) await swapIn(member);
  }

  async giveUp(): Promise<void> {
    if (this.#left !== 'take back') return;
    // With no room for it, going back is all the more what has to be done now.
    await this.#write({ step: 'back' }).catch(() => undefined);
  }

  async takeBack(): Promise<void> {
    if (this.#left !== 'take back') return;
    if (this.#journal.step !== 'back') await this.giveUp();
    this.#left = 'nothing';
    this.#journal = await takeAllBack(this.#stateDir, this.#journal);
    this.#left = 'drop';
  }

  leave(): void {
    this.#left = 'nothing';
  }

  async commit(now: Date): Promise<void> {
    this.#left = 'nothing';
    // What is not written has no step to be noted.
    const journal = this.#isWritten ? this.#journal : { ...this.#journal, step: 'committed' as const };
    await commitAll(this.#stateDir, journal, now);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left === 'take back') await this.takeBack();
    if (this.#left === 'drop') await dropAll(this.#stateDir, this.#journal);
    this.#left = 'nothing';
  }

  async #write(change: Partial<RestoreJournal>): Promise<void> {
    const journal = { ...this.#journal, ...change };
    // Whether it was written or not: what is remembered here can do either.
    this.#journal = journal;
    if (this.#isWritten) await writeJournal(this.#stateDir, journal);
  }
}

/**
 * The last first, as things are undone. All are tried, then the first error is thrown. Gives back the journal of one that
 * has only to be cleaned up.
 */
export async function takeAllBack(stateDir: string, journal: RestoreJournal): Promise<RestoreJournal> {
  for (const { name, stage } of journal.members) if (!(await exists(stage))) throw stageAway(name, stage);
  const errors: unknown[] = [];
  for (const member of journal.members.toReversed())
    await swapOut(member).catch((error: unknown) => void errors.push(error));
  if (errors.length > 0) throw errors[0];
  const clean: RestoreJournal = { ...journal, step: 'staging' };
  // From now on a stage may be missing. On a full disk, removing what is in them makes room.
  await writeJournal(stateDir, clean).catch(() => undefined);
  return clean;
}

/** Where nothing can be seen, nothing can be called undone. */
function stageAway(name: string, stage: ByteString): AppError {
  return new AppError(
    'unavailable',
    `What an interrupted restore of ${quote(name)} has put away is not there: ${quote(toPrintable(stage))}`,
    { hint: 'Mount the disk that it lies on, and run the command again.' },
  );
}

/** Nothing came of it: what was made ready goes. Nothing is swapped. */
export async function dropAll(stateDir: string, journal: RestoreJournal): Promise<void> {
  for (const { stage, isKept } of journal.members) if (!isKept) await removeTree(stage);
  await removeJournal(stateDir, journal.id);
}

/** Everything is swapped, and stays so. May be repeated. */
export async function commitAll(stateDir: string, journal: RestoreJournal, now: Date): Promise<void> {
  // When the first of it is gone, nothing can go back any more.
  if (journal.step !== 'committed') await writeJournal(stateDir, { ...journal, step: 'committed' });
  const earlier = await listUndoRecords(stateDir);
  for (const member of journal.members) await keepOrRemove(stateDir, { journal, member, now });
  try {
    // What earlier restores of the same place have kept ends with this one.
    for (const record of earlier)
      if (
        journal.members.some(
          ({ root, stage, part }) => part === undefined && root === record.root && stage !== record.stage,
        )
      )
        await dropUndo(stateDir, record);
  } finally {
    // Only a kill leaves it: what cannot be deleted now keeps nobody from the volume, and goes when its time is over.
    await removeJournal(stateDir, journal.id);
  }
}

interface Kept {
  readonly journal: RestoreJournal;
  readonly member: JournalMember;
  readonly now: Date;
}

async function keepOrRemove(stateDir: string, { journal, member, now }: Kept): Promise<void> {
  const { kind, name, identity, root, stage, place, keepUntil } = member;
  const inode = await inodeOf(`${stage}/new`);
  if (place !== 'beside' || keepUntil === undefined || inode === undefined) {
    await removeTree(stage);
    return await forgetUndo(stateDir, undoIdOf(stage));
  }
  const before = (await listUndoRecords(stateDir)).find(({ id }) => id === undoIdOf(stage));
  // A repetition, after a kill.
  if (before?.inode === inode) return;
  await syncFolder(parentOf(stage));
  await writeUndoRecord(stateDir, {
    id: undoIdOf(stage),
    restoreId: before?.restoreId ?? journal.id,
    kind,
    name,
    identity,
    hostIdentity: journal.hostIdentity,
    root,
    stage,
    inode,
    liveInode: await inodeOf(root),
    keptAt: now.toISOString(),
    until: keepUntil,
    since: keptSince(),
    snapshotIds: before?.snapshotIds ?? journal.snapshotIds,
    isUndone: before === undefined ? false : !before.isUndone,
  });
}
