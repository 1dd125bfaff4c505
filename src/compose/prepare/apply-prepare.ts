import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { syncAll } from '../../lib/durable-file.ts';
import { renameToNew } from '../../lib/exchange.ts';
import { errorInWords, knownError } from '../../lib/known-error.ts';
import { isSameFile, openTrusted } from '../../lib/open-trusted.ts';
import { changeOwner, removeDirectoryAt, statAt } from '../../lib/posix-at.ts';
import { type ByteString, fromText, toPath, toText } from '../../model/byte-string.ts';
import { AppError, errnoOf, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { HostVolumes } from '../../volumes/index.ts';
import type { FolderStep, PreparePlan, PrepareStep } from './plan-prepare.ts';

export interface PrepareOutcome {
  readonly step: PrepareStep;
  /** `there`: it existed by then, and was left as it is. */
  readonly outcome: 'made' | 'there' | 'failed';
  /** Of a failure. */
  readonly error: AppError | undefined;
}

interface ApplyOptions {
  readonly volumes: () => Promise<Pick<HostVolumes, 'create'>>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes what a plan says, step by step; one that fails does not keep the others. Nothing that exists is changed,
 * and a kill at any moment leaves what the next call completes.
 */
export async function applyPrepare(
  { steps }: Pick<PreparePlan, 'steps'>,
  { volumes, signal }: ApplyOptions,
): Promise<PrepareOutcome[]> {
  const outcomes: PrepareOutcome[] = [];
  for (const step of steps) {
    if (signal?.aborted === true)
      throw new AppError('cancelled', 'Cancelled: run it again for the rest', { cause: signal.reason });
    try {
      const outcome = step.kind === 'folder' ? await makeFolder(step) : 'made';
      if (step.kind === 'volume') await (await volumes()).create(step.spec, { signal });
      outcomes.push({ step, outcome, error: undefined });
    } catch (error) {
      if (isAppError(error, 'cancelled')) throw error;
      outcomes.push({ step, outcome: 'failed', error: reasonOf(error, step) });
    }
  }
  return outcomes;
}

function reasonOf(error: unknown, step: PrepareStep): AppError {
  const name = step.kind === 'folder' ? step.path : step.spec.name;
  const known = knownError(error, `Cannot make ${quote(name)}`);
  if (step.kind === 'folder' || step.spec.driver !== ownDriver || !noDriver.test(errorInWords(known)))
    return known;
  return new AppError(
    known.code,
    `Cannot make ${quote(name)}: the engine does not reach a driver "holdfast"`,
    {
      detail: errorInWords(known),
      hint: 'Start "holdfast plugin" on this machine as root, then run this again; see docs/guides/docker-plugin.md.',
      cause: error,
    },
  );
}

const ownDriver = 'holdfast';
/** In the engine's words: a plugin that it does not know, or one that it knows and cannot reach. */
const noDriver = /volume plugin|plugin "holdfast" not found|dial unix|VolumeDriver\./;

/** Makes the folder with those above it. Another user may own one of these, so nothing is found twice by a path. */
async function makeFolder({ path, owner, mode }: FolderStep): Promise<'made' | 'there'> {
  const names = fromText(path)
    .split('/')
    .filter((name) => name !== '');
  const last = names.pop();
  if (last === undefined) return 'there';
  using above = openFolders(names);
  return (await makeOne(above, { name: last, owner, mode })) ? 'made' : 'there';
}

/** Opens folders below the root, and makes those that are missing, each with the owner of the one above it. */
function openFolders(names: readonly ByteString[]): DirectoryHandle {
  const { handle: deepest, depth } = openDeepest(names);
  let handle = deepest;
  for (const name of names.slice(depth)) {
    using parent: DirectoryHandle = handle;
    makeOneNow(parent, { name, owner: undefined, mode: 0o755 });
    handle = parent.openChild(name);
  }
  return handle;
}

/** The deepest of the folders that exists. */
function openDeepest(names: readonly ByteString[]): { handle: DirectoryHandle; depth: number } {
  for (let depth = names.length; depth > 0; depth--) {
    const handle = openExisting(names.slice(0, depth));
    if (handle !== undefined) return { handle, depth };
  }
  return { handle: DirectoryHandle.open('/'), depth: 0 };
}

function openExisting(names: readonly ByteString[]): DirectoryHandle | undefined {
  try {
    return openTrusted(`/${names.join('/')}`);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

interface NewFolder extends Pick<FolderStep, 'owner' | 'mode'> {
  readonly name: ByteString;
}

async function makeOne(parent: DirectoryHandle, folder: NewFolder): Promise<boolean> {
  if (!makeOneNow(parent, folder)) return false;
  await syncAll([toText(parent.self)]);
  return true;
}

/**
 * Makes a folder under a name of its own, and gives it its own name once it is as it has to be: one that was only
 * half made would be taken for the user's by the next run. False when the name is taken.
 */
function makeOneNow(parent: DirectoryHandle, { name, owner, mode }: NewFolder): boolean {
  if (isTaken(parent, name)) return false;
  const draft = `.${name.slice(0, 200)}.holdfast-prepare`;
  removeDraft(parent, draft);
  mkdirSync(toPath(parent.at(draft)), 0o700);
  try {
    using made = parent.openChild(draft);
    refuseForeign(made, draft);
    const { uid, gid } = parent.stat();
    const wanted = owner ?? { uid: Number(uid), gid: Number(gid) };
    const now = made.stat();
    if (Number(now.uid) !== wanted.uid || Number(now.gid) !== wanted.gid) giveTo(made, wanted);
    chmodSync(toPath(made.self), mode);
    renameToNew(parent.at(draft), parent.at(name));
    if (!isSameFile(statAt(parent.fd, name), made.stat())) throw replaced(draft);
    return true;
  } catch (error) {
    removeDraft(parent, draft);
    // Another program was faster: its folder is there.
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function giveTo(folder: DirectoryHandle, { uid, gid }: NonNullable<FolderStep['owner']>): void {
  try {
    changeOwner(folder.fd, { uid, gid });
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
    throw new AppError('denied', `Only root may give a folder to ${uid}:${gid}`, {
      cause: error,
      hint: 'Run it as root, with DOCKER_HOST naming your engine where it runs without root.',
    });
  }
}

function isTaken(parent: DirectoryHandle, name: ByteString): boolean {
  try {
    statAt(parent.fd, name);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** What a killed run left is an empty folder; anything else of that name stays, and is an error later. */
function removeDraft(parent: DirectoryHandle, draft: ByteString): void {
  try {
    removeDirectoryAt(parent.fd, draft);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'ENOTDIR', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
}

/** The owner of the parent could have put a folder of their choice in the place of the new one. */
function refuseForeign(made: DirectoryHandle, draft: ByteString): void {
  const { uid, mode } = made.stat();
  const isOwn = Number(uid) === process.geteuid?.() && (mode & 0o777n) === 0o700n;
  if (isOwn && readdirSync(toPath(made.self)).length === 0) return;
  throw replaced(draft);
}

function replaced(draft: ByteString): AppError {
  return new AppError(
    'conflict',
    `${quote(toText(draft))} was replaced by another program while it was made`,
  );
}
