import { realpath } from 'node:fs/promises';
import { type HostAccess, wholeSeconds } from '../hosts/host.ts';
import { requireAnswer } from '../lib/require-answer.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import { type ByteString, fromText, toText } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import type { ExcludeMatcher } from '../model/exclude.ts';
import { quote } from '../model/quote.ts';
import type { SaveProblem } from '../model/snapshot.ts';
import { parseLocation, type Repository, type TreeSource } from '../repository/index.ts';
import { isWithin } from '../model/clean-path.ts';
import { nameOf, parentOf } from '../lib/on-disk.ts';
import { type BackupTarget } from '../volumes/index.ts';
import { ownFoldersBelow, type OwnPlaces } from './own-folders.ts';
import type { JobOptions } from '../activity/index.ts';
import { isStagePath } from '../lib/stage-names.ts';

export interface OpenedSource extends AsyncDisposable {
  readonly tree: TreeSource;
  readonly isExcluded: ExcludeMatcher;
  /** What this access to the data cannot carry, for people. */
  readonly limits: readonly string[];
  /** What this access has lost; complete once everything is read. */
  readonly problems: readonly SaveProblem[];
}

interface SourceRequest {
  readonly target: BackupTarget;
  /** A directory's real path, for its snapshot: a link that leads there may be changed later. */
  readonly realPath?: string | undefined;
  readonly repository: Repository;
  readonly isExcluded: ExcludeMatcher;
  readonly options: JobOptions;
}

/** Opens what is to be saved. The lease is held. */
export async function openSource(
  means: HostAccess & OwnPlaces,
  request: SourceRequest,
): Promise<OpenedSource> {
  const { target, options } = request;
  const { name } = target;
  if (target.kind === 'path') {
    const root = fromText(request.realPath ?? name);
    await requireAnswer(root, { name, signal: options.signal });
    if (target.isFile === true) return await fileSource(root, request);
    return await directorySource(means, root, request);
  }
  const host = await means.host();
  const data = await host.openData(target.name, { signal: options.signal });
  try {
    if (data.way === 'direct') {
      await requireAnswer(data.root, { name, signal: options.signal });
      return {
        ...(await directorySource(means, data.root, request)),
        [Symbol.asyncDispose]: () => data[Symbol.asyncDispose](),
      };
    }
    const problems: SaveProblem[] = [];
    // Requested only when it is read: the data may have to be made still first.
    const entries = async function* () {
      const tar = await data.readTar('', { signal: options.signal });
      yield* readTar(tar, { signal: options.signal, onProblem });
    };
    const ask = data.readTimes?.bind(data);
    const readTimes = ask && ((paths: readonly ByteString[]) => ask(paths, { signal: options.signal }));
    const onProblem = ({
      path,
      reason,
      message,
    }: {
      path: ByteString;
      reason: string;
      message: string;
    }): void =>
      void problems.push({
        path,
        reason: reason === 'vanished' || reason === 'changed' ? reason : 'unreadable',
        message,
      });
    return {
      tree: { kind: 'entries', entries: entries(), readTimes },
      isExcluded: (path, isDirectory) => isStagePath(path) || request.isExcluded(path, isDirectory),
      limits: readTimes ? data.limits.filter((limit) => limit !== wholeSeconds) : data.limits,
      problems,
      [Symbol.asyncDispose]: () => data[Symbol.asyncDispose](),
    };
  } catch (error) {
    await data[Symbol.asyncDispose]();
    throw error;
  }
}

/** A file named on its own is saved, whatever patterns exclude elsewhere. */
async function fileSource(file: ByteString, { repository }: SourceRequest): Promise<OpenedSource> {
  const root = parentOf(file);
  await repositoryInside(root, repository);
  return {
    tree: { kind: 'directory', root, only: nameOf(file) },
    isExcluded: () => false,
    limits: [],
    problems: [],
    async [Symbol.asyncDispose]() {},
  };
}

async function directorySource(
  ownPlaces: OwnPlaces,
  root: ByteString,
  { repository, isExcluded, options }: SourceRequest,
): Promise<OpenedSource> {
  const ownFolder = await repositoryInside(root, repository);
  if (ownFolder !== undefined)
    options.onNote?.(`The repository itself, ${quote(toText(ownFolder))}, is left out.`);
  // The state folder is left out: it changes while it is read, and its volumes are saved by name.
  const directory = await realpath(toText(root));
  const own = new Set(ownFolder === undefined ? [] : [ownFolder]);
  for (const { what, folder } of await ownFoldersBelow(ownPlaces, directory)) {
    const path = below(folder, directory);
    if (!own.has(path)) options.onNote?.(`${what}, ${quote(toText(path))}, is left out.`);
    own.add(path);
  }
  return {
    tree: { kind: 'directory', root },
    isExcluded: (path, isDirectory) => own.has(path) || isStagePath(path) || isExcluded(path, isDirectory),
    limits: [],
    problems: [],
    async [Symbol.asyncDispose]() {},
  };
}

/** Where the repository lies below the root, so that it is not saved into itself. */
async function repositoryInside(root: ByteString, repository: Repository): Promise<ByteString | undefined> {
  const where = parseLocation(repository.location);
  if (where.kind !== 'local') return undefined;
  const folder = await realpath(toText(root));
  const location = await realpath(where.directory);
  if (isWithin(folder, location)) {
    throw new AppError('usage', `Cannot back up ${quote(folder)}: it is part of the repository itself`, {
      hint: 'To have the repository twice, copy it to another disk.',
    });
  }
  return isWithin(location, folder) ? below(location, folder) : undefined;
}

function below(path: string, folder: string): ByteString {
  return fromText(path.slice(folder === '/' ? 1 : folder.length + 1));
}
