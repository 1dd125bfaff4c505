import { hostname } from 'node:os';
import { AppError, errorMessage } from '../../model/errors.ts';
import { randomBytes } from 'node:crypto';
import { chmodSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { materialize } from '../../lib/tree-writer.ts';
import { openTrusted } from '../../lib/open-trusted.ts';
import { makeOwnDirectory, removeOwnDirectory } from '../../lib/own-directory.ts';
import { removeTreeIn } from '../../lib/remove-tree.ts';
import type { TarMember } from '../../lib/tar/tar-member.ts';
import type { TreeProblem } from '../../lib/tree-problem.ts';
import { fromText, toPath } from '../../model/byte-string.ts';
import type { SaveProblem, VolumeDescription } from '../../model/snapshot.ts';
import { checkVolumeName } from '../../model/volume-name.ts';
import type { Repository, SaveResult, TreeSource } from '../../repository/index.ts';
import { type DescribeMeans, describeVolume } from '../describe-volume.ts';
import { volumeIdentity } from '../../leases/index.ts';
import type { JobOptions } from '../../activity/index.ts';
import { moveBelow, orderedMembers, OutOfOrder } from './ordered-members.ts';
import type { Archive } from './read-archive.ts';
import type { VolumePart } from './survey-archive.ts';

export interface SaveArchive {
  readonly archive: Archive;
  readonly digest: string;
  readonly volume: VolumePart;
  readonly timeMs: number;
  readonly tags: readonly string[];
  readonly dryRun: boolean;
}

export interface ArchiveMeans extends DescribeMeans {
  readonly stateDir: string;
  readonly repository: Repository;
}

/** Saves one volume of an archive as a snapshot of that volume, at the archive's time. */
export async function saveArchive(
  means: ArchiveMeans,
  request: SaveArchive,
  options: JobOptions,
): Promise<SaveResult> {
  try {
    const problems: SaveProblem[] = [];
    const entries = orderedMembers(members(request, problems, options), {
      below: request.volume.below,
      timeNs: timeNs(request),
    });
    return await save(means, { request, source: { kind: 'entries', entries }, problems }, options);
  } catch (error) {
    if (!(error instanceof OutOfOrder)) throw error;
    return await saveUnpacked(means, request, options);
  }
}

/** Unpacks the archive first: the file system puts unordered members in order. */
async function saveUnpacked(
  means: ArchiveMeans,
  request: SaveArchive,
  options: JobOptions,
): Promise<SaveResult> {
  using state = openTrusted(fromText(path.resolve(means.stateDir)));
  // Left by a killed import. No other process uses it, because the lease is held.
  for (const name of readdirSync(toPath(state.at('.')), { encoding: 'latin1' }))
    if (/^import(-[0-9a-f]{16})?$/.test(name)) await removeTreeIn(state, name);
  const name = `import-${randomBytes(8).toString('hex')}`;
  using made = makeOwnDirectory(state, name);
  const root = made.self;
  chmodSync(root, 0o755);
  try {
    const problems: SaveProblem[] = [];
    const onProblem = (problem: TreeProblem): void => void problems.push(asSaveProblem(problem));
    const own = onlyBelow(members(request, problems, options), request);
    await materialize(root, own, { signal: options.signal, isStaged: true, onProblem });
    return await save(means, { request, source: { kind: 'directory', root }, problems }, options);
  } finally {
    await removeOwnDirectory(state, { name, made });
  }
}

async function* onlyBelow(
  all: AsyncIterable<TarMember>,
  { volume }: SaveArchive,
): AsyncGenerator<TarMember, void, undefined> {
  for await (const { entry, body } of all) {
    const moved = moveBelow(entry, volume.below);
    if (moved !== undefined) yield { entry: moved, body };
  }
}

function members(
  { archive, digest }: SaveArchive,
  problems: SaveProblem[],
  { signal }: JobOptions,
): AsyncIterable<TarMember> {
  return archive.members(digest, {
    signal,
    onProblem: (problem) => void problems.push(asSaveProblem(problem)),
  });
}

function asSaveProblem({ path: where, reason, message }: TreeProblem): SaveProblem {
  return {
    path: where,
    reason: reason === 'vanished' || reason === 'changed' ? reason : 'unreadable',
    message,
  };
}

interface SaveWork {
  readonly request: SaveArchive;
  readonly source: TreeSource;
  readonly problems: readonly SaveProblem[];
}

async function save(
  means: ArchiveMeans,
  { request, source, problems }: SaveWork,
  options: JobOptions,
): Promise<SaveResult> {
  const { repository } = means;
  const volume = await describe(means, request.volume.name, options);
  const snapshots = await repository.listSnapshots({ signal: options.signal });
  const parent = snapshots.findLast(
    ({ volume: saved, time }) => saved?.identity === volume.identity && Date.parse(time) <= request.timeMs,
  );
  const result = await repository.save({
    source,
    volume,
    parent,
    tags: request.tags,
    hostname: hostname(),
    timeMs: request.timeMs,
    // What wrote while the archive was made is unknown.
    grade: 'torn',
    excludePatterns: [],
    lost: problems,
    dryRun: request.dryRun,
    signal: options.signal,
    onProgress: options.onProgress,
  });
  if (result.snapshot !== undefined)
    for await (const _ of repository.walk(result.snapshot, '', { depth: 0, signal: options.signal })) break;
  return result;
}

/** The volume as it is now, or as it would be recreated; its users at that time are unknown. */
async function describe(means: DescribeMeans, name: string, options: JobOptions): Promise<VolumeDescription> {
  const host = await means.host();
  const info = await host.info({ signal: options.signal });
  const volume = await host.findVolume(name, { signal: options.signal });
  if (volume !== undefined) {
    const described = await describeVolume(means, { kind: 'volume', name, volume, host: info }, options);
    return { ...described, consumers: [] };
  }
  checkName(name);
  return {
    kind: 'volume',
    name,
    identity: volumeIdentity(means.catalog, { hostIdentity: info.identity, name }),
    host: { kind: info.kind, identity: info.identity, name: info.name },
    driver: 'local',
    options: {},
    labels: {},
    anonymous: false,
    consumers: [],
  };
}

function checkName(name: string): void {
  try {
    checkVolumeName(name);
  } catch (error) {
    throw new AppError('usage', errorMessage(error), {
      hint: 'Say which volume it is: --volume NAME, or --rename FROM=TO.',
      cause: error,
    });
  }
}

function timeNs({ timeMs }: SaveArchive): bigint {
  return BigInt(timeMs) * 1_000_000n;
}
