import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { isReadOnly } from '../leases/index.ts';
import type { DirectoryHandle } from '../lib/directory-handle.ts';
import { inodeOf, nameOf, parentOf, syncFolder } from '../lib/on-disk.ts';
import { openTrusted } from '../lib/open-trusted.ts';
import { removeDirectoryAt, statAt } from '../lib/posix-at.ts';
import { keptSince } from '../lib/process-identity.ts';
import { emptyDirectory } from '../lib/remove-tree.ts';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { AppStep } from '../quiesce/index.ts';
import { dropUndo, forgetUndo, listUndoRecords, undoIdOf, writeUndoRecord } from '../volumes/index.ts';
import { type JournalMember, type RestoreJournal, removeJournal, writeJournal } from './restore-journal.ts';
import { type HeldMember, holdRoot, holdStage, makeStage, chooseStage, refuseMountsBelow } from './stage.ts';
import { takenByOther } from './swap-part.ts';
import { isSwappedIn, prepareSwap, swapIn, swapOut } from './swap.ts';

/** A place whose data is to be replaced. */
export interface MemberRequest extends Pick<JournalMember, 'kind' | 'name' | 'identity' | 'root'> {
  /** Only this thing below the root. */
  readonly part?: ByteString | undefined;
  readonly isCreated?: boolean | undefined;
  readonly keepUntil?: string | undefined;
  /** A stage that is there already, with what is to come in it, and the number of that. */
  readonly kept?: { readonly stage: ByteString; readonly inode: string } | undefined;
}

export interface ReplacementRequest extends Pick<RestoreJournal, 'action' | 'hostIdentity' | 'snapshotIds'> {
  readonly stateDir: string;
  readonly members: readonly MemberRequest[];
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
  /** Where the new data of each member goes, in their order; does not exist yet. Leads from what is held open. */
  readonly newPaths: readonly ByteString[];
  /** What each member has open, in their order, until this is disposed. */
  readonly places: readonly ReplacedPlace[];
  /** Everything new is at its place. `levels` is what ran before. */
  swap(levels: readonly (readonly AppStep[])[]): Promise<void>;
  /** Says that it is given up, and that what ran before has to run again. The old data comes back with `takeBack`. */
  giveUp(): Promise<void>;
  /** The old data is at its place again. */
  takeBack(): Promise<void>;
  /**
   * Empties the stages that lie within the data, before anything runs on what is there: it must not start on a disk that they
   * have filled. What cannot be removed is tried again when this is disposed. Does nothing between `swap` and `takeBack`.
   */
  makeRoom(): Promise<void>;
  /** Left as it is, to be settled: disposing does nothing any more. */
  leave(): void;
  /** The new data stays. What was there before is kept where that was asked, and removed elsewhere. */
  commit(now: Date): Promise<void>;
}

export interface ReplacedPlace {
  /** The folder that the new data is made in, under the name `new`. */
  readonly stage: DirectoryHandle;
  /** What is there now; undefined for nothing. */
  readonly live: DirectoryHandle | undefined;
  /** What can write to the data can write to the stage too: it is not filled before that is stopped. */
  readonly isWithinData: boolean;
}

export async function openReplacement(request: ReplacementRequest): Promise<Replacement> {
  const { stateDir, action, hostIdentity, snapshotIds } = request;
  const members: JournalMember[] = [];
  for (const member of request.members) members.push(await chooseMember(member));
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
  const isWritten = await tryToWrite(request, journal);
  await using opened = new AsyncDisposableStack();
  try {
    const held = members.map((member) => opened.use(openStage(member, request)));
    const withStages = { ...journal, members: held.map(({ member }) => member) };
    // What a kill leaves is known by the number of its folder, not by its name.
    if (isWritten) await writeJournal(stateDir, withStages);
    return new OpenReplacement(stateDir, { journal: withStages, isWritten, held, opened: opened.move() });
  } catch (error) {
    await opened.disposeAsync();
    await dropAll(stateDir, journal);
    throw error;
  }
}

function openStage(member: JournalMember, { members }: ReplacementRequest): HeldMember {
  if (!member.isKept) return makeStage(member);
  const held = holdStage(member);
  const wanted = members.find(({ kept }) => kept?.stage === member.stage)?.kept?.inode;
  if (held !== undefined && inodeIn(held.stage, 'new') === wanted) return held;
  held?.[Symbol.dispose]();
  throw new AppError('conflict', `What was kept of ${quote(member.name)} is not there any more`, {
    detail: `It was in "${toPrintable(member.stage)}".`,
  });
}

function inodeIn(folder: DirectoryHandle, name: ByteString): string | undefined {
  try {
    return String(statAt(folder.fd, name).ino);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

/** False where there is no room for it, and where it can be done without. */
async function tryToWrite(
  { stateDir, onNote }: ReplacementRequest,
  journal: RestoreJournal,
): Promise<boolean> {
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
  using held = holdRoot(root);
  return held.live === undefined || (await readdir(toPath(held.live.at('.')))).length === 0;
}

async function chooseMember(request: MemberRequest): Promise<JournalMember> {
  const { kind, name, identity, root, part, kept, keepUntil } = request;
  using held = holdRoot(root);
  const { stage, place } =
    kept === undefined
      ? await chooseStage(root, held, part)
      : { stage: kept.stage, place: 'beside' as const };
  return {
    kind,
    name,
    identity,
    root,
    stage,
    // Until it is made.
    stageInode: kept === undefined ? '' : undefined,
    place: part === undefined ? place : 'part',
    part,
    isKept: kept !== undefined,
    isCreated: request.isCreated ?? false,
    keepUntil,
    oldNames: [],
    newNames: [],
  };
}

class OpenReplacement implements Replacement {
  readonly id: string;
  readonly newPaths: readonly ByteString[];
  readonly places: readonly ReplacedPlace[];
  readonly #stateDir: string;
  readonly #held: readonly HeldMember[];
  readonly #opened: AsyncDisposableStack;
  #journal: RestoreJournal;
  readonly #isWritten: boolean;
  /** What a dispose has to do. */
  #left: 'drop' | 'take back' | 'nothing' = 'drop';

  constructor(
    stateDir: string,
    {
      journal,
      isWritten,
      held,
      opened,
    }: {
      readonly journal: RestoreJournal;
      readonly isWritten: boolean;
      readonly held: readonly HeldMember[];
      readonly opened: AsyncDisposableStack;
    },
  ) {
    this.#stateDir = stateDir;
    this.#isWritten = isWritten;
    this.#journal = journal;
    this.#held = held;
    this.#opened = opened;
    this.id = journal.id;
    this.newPaths = held.map(({ stage }) => stage.at('new'));
    this.places = held.map(({ member, stage, live }) => ({
      stage,
      live,
      isWithinData: isWithinData(member),
    }));
  }

  get isSwapping(): boolean {
    return this.#left === 'take back';
  }

  async swap(levels: readonly (readonly AppStep[])[]): Promise<void> {
    const prepared: JournalMember[] = [];
    for (const held of this.#held) {
      held.refuseMoved();
      using root = holdRoot(held.member.root);
      await refuseMountsBelow(held.member.root, root, held.member.part);
      prepared.push(await prepareSwap(held.held));
    }
    this.#left = 'take back';
    const members = prepared.map((one, index) => withPaths(one, this.#held[index]?.member ?? one));
    await this.#write({ step: 'swapping', levels, members });
    for (const member of prepared) await swapIn(member);
    for (const [index, member] of prepared.entries()) {
      this.#held[index]?.refuseMoved();
      if (!(await isSwappedIn(member))) throw takenByOther(nameOf(member.root));
    }
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
    this.#journal = await takeAllBack(this.#stateDir, this.#journal, this.#held);
    this.#left = 'drop';
  }

  async makeRoom(): Promise<void> {
    if (this.#left !== 'drop') return;
    for (const place of this.places)
      if (place.isWithinData) await emptyDirectory(place.stage).catch(() => undefined);
  }

  leave(): void {
    this.#left = 'nothing';
  }

  async commit(now: Date): Promise<void> {
    this.#left = 'nothing';
    // What is not written has no step to be noted.
    const journal = this.#isWritten ? this.#journal : { ...this.#journal, step: 'committed' as const };
    await commitAll(this.#stateDir, { journal, now, held: this.#held });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using _closed = this.#opened;
    if (this.#left === 'take back') await this.takeBack();
    if (this.#left === 'drop') await dropAll(this.#stateDir, this.#journal, this.#held);
    this.#left = 'nothing';
  }

  async #write(change: Partial<RestoreJournal>): Promise<void> {
    const journal = { ...this.#journal, ...change };
    // Whether it was written or not: what is remembered here can do either.
    this.#journal = journal;
    if (this.#isWritten) await writeJournal(this.#stateDir, journal);
  }
}

/** As it is written down: the paths are for people, and for the next process. */
function withPaths(prepared: JournalMember, { root, stage }: JournalMember): JournalMember {
  return { ...prepared, root, stage };
}

/** Holds on to the stages that there are, where this process does not yet. */
function holdAll(
  members: readonly JournalMember[],
  { held, opened }: { readonly held: readonly HeldMember[] | undefined; readonly opened: DisposableStack },
): (HeldMember | undefined)[] {
  if (held !== undefined) return [...held];
  return members.map((member) => {
    const found = holdStage(member);
    return found && opened.use(found);
  });
}

/**
 * The last first, as things are undone. All are tried, then the first error is thrown. Gives back the journal of one that
 * has only to be cleaned up.
 */
export async function takeAllBack(
  stateDir: string,
  journal: RestoreJournal,
  held?: readonly HeldMember[],
): Promise<RestoreJournal> {
  const { members } = journal;
  using opened = new DisposableStack();
  const stages = holdAll(members, { held, opened });
  const places = members.map((member, index) => {
    const place = stages[index]?.held;
    if (place === undefined) throw stageAway(member.name, member.stage);
    return withPaths(member, place);
  });
  const errors: unknown[] = [];
  for (const place of places.toReversed())
    await swapOut(place).catch((error: unknown) => void errors.push(error));
  if (errors.length > 0) throw errors[0];
  const clean: RestoreJournal = { ...journal, step: 'staging' };
  // From now on a stage may be missing. On a full disk, removing what is in them makes room.
  const isWritten = await writeJournal(stateDir, clean).then(
    () => true,
    () => false,
  );
  // What ran before is started next, and needs the room that it had.
  for (const [index, member] of members.entries()) {
    const stage = stages[index]?.stage;
    if (isWritten && stage !== undefined && isWithinData(member))
      await emptyDirectory(stage).catch(() => undefined);
  }
  return clean;
}

function isWithinData({ root, stage, isKept }: JournalMember): boolean {
  return !isKept && parentOf(stage) === root;
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
export async function dropAll(
  stateDir: string,
  journal: RestoreJournal,
  held?: readonly HeldMember[],
): Promise<void> {
  for (const [index, member] of journal.members.entries()) {
    if (member.isKept) continue;
    if (held === undefined) await removeLeft(member);
    else await held[index]?.remove();
  }
  await removeJournal(stateDir, journal.id);
}

/** What a killed process has left of a stage. */
async function removeLeft(member: JournalMember): Promise<void> {
  // It was killed before it could write down which folder it is: then there is nothing in it yet.
  if (member.stageInode === '') return removeIfEmpty(member.stage);
  using found = holdStage(member);
  await found?.remove();
}

function removeIfEmpty(stage: ByteString): void {
  try {
    using folder = openTrusted(parentOf(stage));
    removeDirectoryAt(folder.fd, nameOf(stage));
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
}

/** Whether all that is to come is in its place, after a kill. */
export async function isAllSwapped({ members }: RestoreJournal): Promise<boolean> {
  for (const member of members) {
    using place = holdStage(member);
    if (!(await isSwappedIn(place === undefined ? member : withPaths(member, place.held)))) return false;
  }
  return true;
}

export interface Commit {
  readonly journal: RestoreJournal;
  readonly now: Date;
  /** Where this process has the stages open. */
  readonly held?: readonly HeldMember[] | undefined;
}

/** Everything is swapped, and stays so. May be repeated. */
export async function commitAll(stateDir: string, { journal, now, held }: Commit): Promise<void> {
  using opened = new DisposableStack();
  const stages = holdAll(journal.members, { held, opened });
  // When the first of it is gone, nothing can go back any more.
  if (journal.step !== 'committed') await writeJournal(stateDir, { ...journal, step: 'committed' });
  const earlier = await listUndoRecords(stateDir);
  for (const [index, member] of journal.members.entries())
    await keepOrRemove(stateDir, { journal, member, now, place: stages[index] });
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
    // Only a kill leaves it: what cannot be deleted now does not keep the volume from its users, and goes when its time is over.
    await removeJournal(stateDir, journal.id);
  }
}

interface Kept {
  readonly journal: RestoreJournal;
  readonly member: JournalMember;
  readonly now: Date;
  /** Undefined where its stage is gone already. */
  readonly place: HeldMember | undefined;
}

async function keepOrRemove(stateDir: string, { journal, member, now, place: open }: Kept): Promise<void> {
  const { kind, name, identity, root, stage, place, keepUntil } = member;
  const inode = open && inodeIn(open.stage, 'new');
  if (open === undefined || place !== 'beside' || keepUntil === undefined || inode === undefined) {
    await open?.remove();
    return await forgetUndo(stateDir, undoIdOf(stage));
  }
  const before = (await listUndoRecords(stateDir)).find(({ id }) => id === undoIdOf(stage));
  // A repetition, after a kill.
  if (before?.inode === inode) return;
  await syncFolder(parentOf(open.held.root));
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
    liveInode: await inodeOf(open.held.root),
    keptAt: now.toISOString(),
    until: keepUntil,
    since: keptSince(),
    snapshotIds: before?.snapshotIds ?? journal.snapshotIds,
    isUndone: before === undefined ? false : !before.isUndone,
  });
}
