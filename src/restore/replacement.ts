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
  /** An existing stage that holds the new data, and the inode number of that data. */
  readonly kept?: { readonly stage: ByteString; readonly inode: string } | undefined;
}

export interface ReplacementRequest extends Pick<RestoreJournal, 'action' | 'hostIdentity' | 'snapshotIds'> {
  readonly stateDir: string;
  readonly members: readonly MemberRequest[];
  /** Remarks for people. */
  readonly onNote?: ((message: string) => void) | undefined;
}

/**
 * Replaces the data of one or more places: all of it or nothing. Every step is in a journal before it is
 * taken; after a kill `settle.ts` continues from there:
 *
 * 1. `staging`: stages are made and filled. After a kill: they are removed.
 * 2. `swapping`: the new data is complete and durable, the containers are stopped. After a kill: the swap
 *    stays if all of it happened, else all of it goes back.
 * 3. `back`: an error occurred, or containers do not come up. After a kill: goes on going back, and starts
 *    what ran before. Once the old data is in its place the step is `staging` again, and the journal still
 *    lists what ran before.
 * 4. `committed`: the old data is kept or removed, and last of all the journal. After a kill: goes on with
 *    that.
 *
 * Disposing before `commit` restores everything, unless going back itself fails: then the journal stays.
 *
 * Where the journal's disk is full, directories in which nothing is replaced are filled without a journal, so
 * that a snapshot can be restored to another disk. A kill can then leave only a stage, which is announced
 * beforehand.
 */
export interface Replacement extends AsyncDisposable {
  readonly id: string;
  /** True from the moment when live data may be touched until `commit` or `takeBack`. */
  readonly isSwapping: boolean;
  /** The path of each member's new data, in order; it does not exist yet. Starts at a held descriptor. */
  readonly newPaths: readonly ByteString[];
  /** What is held open for each member, in order, until this is disposed. */
  readonly places: readonly ReplacedPlace[];
  /** Puts all new data in its place. `levels` are the containers that ran before. */
  swap(levels: readonly (readonly AppStep[])[]): Promise<void>;
  /** Records that the swap is given up, and what ran has to run again. `takeBack` brings the old data. */
  giveUp(): Promise<void>;
  /** Puts the old data in its place again. */
  takeBack(): Promise<void>;
  /**
   * Empties the stages that lie within the data before a container starts there, so that it does not start on
   * a disk that they have filled. What cannot be removed is tried again on dispose. Does nothing between
   * `swap` and `takeBack`.
   */
  makeRoom(): Promise<void>;
  /** Leaves everything to be settled: disposing does nothing from now on. */
  leave(): void;
  /** Keeps the new data. The old data is kept where that was asked, and removed elsewhere. */
  commit(now: Date): Promise<void>;
}

export interface ReplacedPlace {
  /** The folder in which the new data is made, under the name `new`. */
  readonly stage: DirectoryHandle;
  /** The current data; undefined for none. */
  readonly live: DirectoryHandle | undefined;
  /** Containers can write to the stage as to the data, so it is filled only after they are stopped. */
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
    // Settling recognises a stage by its inode number, not by its name.
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

/** False where the state folder is full or read-only, and no journal is needed as nothing is replaced. */
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
    // Known once the stage is made.
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
  /** What disposing has to do. */
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
    // A full disk is no reason not to go back.
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
    // Room is a help: what follows says whether it suffices.
    for (const place of this.places)
      if (place.isWithinData) await emptyDirectory(place.stage).catch(() => undefined);
  }

  leave(): void {
    this.#left = 'nothing';
  }

  async commit(now: Date): Promise<void> {
    this.#left = 'nothing';
    // A replacement without a journal has no step to note.
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
    // Also when the write fails: either version in memory can be settled.
    this.#journal = journal;
    if (this.#isWritten) await writeJournal(this.#stateDir, journal);
  }
}

/** The paths as written down are for people and for the next process. */
function withPaths(prepared: JournalMember, { root, stage }: JournalMember): JournalMember {
  return { ...prepared, root, stage };
}

/** Opens the existing stages that this process does not hold yet. */
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

/** Goes back, last member first. Tries all, then throws the first error. Returns a journal to clean up. */
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
  // From now on a stage may be missing. On a full disk, emptying the stages makes room.
  const isWritten = await writeJournal(stateDir, clean).then(
    () => true,
    () => false,
  );
  // The containers that start next need this room.
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

/** A stage that cannot be seen may be on a disk that is away: its swap is not taken for undone. */
function stageAway(name: string, stage: ByteString): AppError {
  return new AppError(
    'unavailable',
    `What an interrupted restore of ${quote(name)} has put away is not there: ${quote(toPrintable(stage))}`,
    { hint: 'Mount the disk that it lies on, and run the command again.' },
  );
}

/** Removes the stages. Nothing is swapped. */
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

/** Removes a stage that a killed process left. */
async function removeLeft(member: JournalMember): Promise<void> {
  // Killed before it wrote down the folder's inode: the folder is still empty.
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

/** Whether, after a kill, all new data is in its place. */
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
  /** The stages that this process has open. */
  readonly held?: readonly HeldMember[] | undefined;
}

/** Everything is swapped, and stays so. May be repeated. */
export async function commitAll(stateDir: string, { journal, now, held }: Commit): Promise<void> {
  using opened = new DisposableStack();
  const stages = holdAll(journal.members, { held, opened });
  // Once the first of the old data is gone, nothing can go back.
  if (journal.step !== 'committed') await writeJournal(stateDir, { ...journal, step: 'committed' });
  const earlier = await listUndoRecords(stateDir);
  for (const [index, member] of journal.members.entries())
    await keepOrRemove(stateDir, { journal, member, now, place: stages[index] });
  try {
    // What earlier restores of the same place kept is dropped with this one.
    for (const record of earlier)
      if (
        journal.members.some(
          ({ root, stage, part }) => part === undefined && root === record.root && stage !== record.stage,
        )
      )
        await dropUndo(stateDir, record);
  } finally {
    // What cannot be deleted now must not block the volume: it is deleted when it expires.
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
  // Repeated after a kill.
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
