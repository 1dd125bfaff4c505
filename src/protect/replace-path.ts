import { lstatSync, mkdirSync, renameSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { applyMetadata } from '../lib/apply-metadata.ts';
import { DirectoryHandle } from '../lib/directory-handle.ts';
import { exchange } from '../lib/exchange.ts';
import { syncFilesystem } from '../lib/posix.ts';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import type { SaveProblem } from '../model/snapshot.ts';
import {
  type DirectoryWork,
  type FillResult,
  nameOf,
  refuseSurprise,
  restoreVerified,
} from './fill-directory.ts';
import type { JobOptions, Protection } from './protection.ts';
import { openStage } from './stage.ts';
import { parentOf } from './swap.ts';

/** Replaces exactly one file or folder in live data, in one step; the rest is not touched. Never goes through a symbolic link. */
export async function replacePath(
  parts: Protection,
  work: DirectoryWork,
  options: JobOptions,
): Promise<FillResult> {
  const { plan, root } = work;
  await refuseSurprise(work, options);
  await using stage = await openStage(parts.stateDir, root);
  const result = await restoreVerified(parts, { plan, target: stage.newPath }, options);
  const problems: SaveProblem[] = [...result.problems];
  await work.confirmFree();
  using folder = await openFolder(parts, { work, problems }, options);
  await syncStage(parentOf(stage.newPath));
  put(stage.newPath, folder.at(nameOf(plan.path)));
  await syncStage(root);
  return { files: result.files, bytes: result.bytes, problems };
}

/** Afterwards the old thing, if there was one, is at `fresh`. */
function put(fresh: ByteString, place: ByteString): void {
  if (lstatSync(toPath(place), { throwIfNoEntry: false }) === undefined)
    renameSync(toPath(fresh), toPath(place));
  else exchange(fresh, place);
}

interface FolderWork {
  readonly work: DirectoryWork;
  readonly problems: SaveProblem[];
}

/** The folder that the path lies in; those that are missing are made as the snapshot has them. */
async function openFolder(
  parts: Protection,
  { work, problems }: FolderWork,
  options: JobOptions,
): Promise<DirectoryHandle> {
  const names = work.plan.path.split('/').slice(0, -1);
  let folder = DirectoryHandle.open(work.root);
  let path = '';
  for (const name of names) {
    path = path === '' ? name : `${path}/${name}`;
    const inner = openOrMissing(folder, name, path);
    if (inner === undefined) await makeFolder(parts, { folder, name, path, work, problems }, options);
    const next = inner ?? folder.openChild(name);
    folder[Symbol.dispose]();
    folder = next;
  }
  return folder;
}

function openOrMissing(
  folder: DirectoryHandle,
  name: ByteString,
  path: ByteString,
): DirectoryHandle | undefined {
  try {
    return folder.openChild(name);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return undefined;
    if (errno !== 'ELOOP' && errno !== 'ENOTDIR') throw error;
    throw new AppError(
      'conflict',
      `Cannot restore below "${toPrintable(path)}": it is no folder in the live data`,
      {
        detail: 'A symbolic link is not followed: it may lead out of the volume.',
        hint: 'Restore the whole volume, or to another place with --to.',
      },
    );
  }
}

interface MissingFolder extends FolderWork {
  readonly folder: DirectoryHandle;
  readonly name: ByteString;
  readonly path: ByteString;
}

async function makeFolder(parts: Protection, missing: MissingFolder, options: JobOptions): Promise<void> {
  const { folder, name, path, work, problems } = missing;
  const repository = await parts.repository();
  mkdirSync(toPath(folder.at(name)), { mode: 0o700 });
  for await (const entry of repository.walk(work.plan.snapshot, path, { depth: 0, signal: options.signal })) {
    applyMetadata({ at: `${folder.at(name)}/.` }, entry, ({ message }) =>
      problems.push({ path, reason: 'unreadable', message }),
    );
    return;
  }
}

async function syncStage(path: ByteString): Promise<void> {
  await using folder = await open(toPath(path), 'r');
  syncFilesystem(folder.fd);
}
